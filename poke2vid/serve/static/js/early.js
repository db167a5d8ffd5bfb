/** Settings that the first sight of the page depends on, before anything is drawn; the modules come later. */
try {
  const root = document.documentElement;
  if (new URLSearchParams(location.search).has('demo')) root.classList.add('exhibit'); // js/ui/exhibit.js
  else {
    const theme = localStorage.getItem('poke2vid.theme');
    if (theme) root.dataset.theme = theme;
    if (localStorage.getItem('poke2vid.kept')) root.classList.add('kept'); // another picture comes
  }
} catch {
  // No storage in this window.
}
