// Put the code of an e-mail's link into the form, and out of the address bar and its history.
const code = document.querySelector("form[data-link] [name=token]");
function take() {
  if (code && location.hash.length > 1) {
    code.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
  }
}
take();
// Another e-mail's link, opened in the same tab, loads nothing anew.
addEventListener("hashchange", take);
