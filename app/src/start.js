const address = (link) => document.querySelector(`link[${link}]`).href;
const start = async () => {
  const root = document.documentElement.classList;
  try {
    const code = await import(address("rel=modulepreload"));
    await code.default({ module_or_path: address("as=fetch") });
    for (const place of document.querySelectorAll("[data-island]")) {
      try {
        code.mount(place.dataset.island, place);
      } catch (error) {
        reportError(error);
      }
    }
    root.add("is-alive");
  } catch (error) {
    console.warn("This page goes on without scripts:", error);
    root.add("is-plain");
    if (document.querySelector("[data-island=pending]")) setTimeout(() => location.reload(), 3000);
  }
};
// As an app, the site is offered where pictures are shared. This worker takes several at once.
const share = () => navigator.serviceWorker?.register("/share.js", { scope: "/upload?shared" });
addEventListener("appinstalled", share);
if (matchMedia("(display-mode: minimal-ui)").matches) share();
"requestIdleCallback" in window ? requestIdleCallback(start, { timeout: 2000 }) : start();
