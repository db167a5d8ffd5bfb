/** Settings that the first sight of the page depends on, before anything is drawn; the modules come later. */
try {
  const theme = localStorage.getItem('poke2vid.theme');
  if (theme) document.documentElement.dataset.theme = theme;
  if (localStorage.getItem('poke2vid.kept')) document.documentElement.classList.add('kept'); // another picture comes
} catch {
  // No storage in this window.
}
