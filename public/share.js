// Takes the pictures that a phone shares with the site as an app, and leads to the upload page,
// which finds them where `components/handover.rs` looks for them. Without this worker, which is
// there once the app was installed or opened, the server takes the form itself, with one picture.

const NAME = "catto-handover";

addEventListener("fetch", (event) => {
  if (event.request.method === "POST") event.respondWith(take(event.request));
});

async function take(request) {
  const form = await request.formData();
  try {
    await leave(form.getAll("file"));
  } catch (error) {
    // The browser keeps no data for this site, or has no room for it. The server takes one picture,
    // and says so of several, which is better than to lose them without a word.
    console.warn("What was shared goes to the server:", error);
    const headers = { accept: request.headers.get("accept") };
    return fetch(request.url, { method: "POST", headers, body: form });
  }
  return Response.redirect("/upload", 303);
}

// Adds the files to those that the upload page has not taken yet.
async function leave(files) {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(NAME);
  await happened(opening, "success", "error");
  const database = opening.result;
  try {
    const store = database.transaction(NAME, "readwrite").objectStore(NAME);
    const waiting = store.get(NAME);
    await happened(waiting, "success", "error");
    store.put([...(waiting.result ?? []), ...files], NAME);
    await happened(store.transaction, "complete", "abort");
  } finally {
    database.close();
  }
}

function happened(source, good, bad) {
  return new Promise((resolve, reject) => {
    source.addEventListener(good, resolve);
    source.addEventListener(bad, () => reject(source.error));
  });
}
