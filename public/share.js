// Takes the pictures that a phone shares with the site as an app, and leads to the upload page,
// which finds them where `components/handover.rs` looks for them. Without this worker, which is
// there once the app was installed or opened, the server takes the form itself, with one picture.

const NAME = "catto-handover";

addEventListener("fetch", (event) => {
  if (event.request.method === "POST") event.respondWith(take(event.request));
});

async function take(request) {
  const form = await request.formData();
  await leave(form.getAll("file"));
  return Response.redirect("/upload", 303);
}

function leave(files) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(NAME);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const leaving = opening.result.transaction(NAME, "readwrite");
      leaving.objectStore(NAME).put(files, NAME);
      leaving.oncomplete = () => {
        opening.result.close();
        resolve();
      };
      leaving.onabort = () => reject(leaving.error);
    };
  });
}
