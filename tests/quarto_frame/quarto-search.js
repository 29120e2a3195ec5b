// The search: it reads search.json once, and refuses from disk.
addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("quarto-search");
  const options = JSON.parse(document.getElementById("quarto-search-options").textContent);
  box.classList.add("type-textbox");
  window["@algolia/autocomplete-js"].autocomplete({
    container: box,
    panelContainer: "#quarto-search-results",
    detachedMediaQuery: "(max-width: 991px)",
    placeholder: options.language["search-text-placeholder"],
    async getItems({query}) {
      if (!query) return [];
      const index = await readSearchData();
      return index.search(query).slice(0, options.limit);
    },
    renderItem: ({href, title, section, text}) => `
      <div class="search-result-doc search-item"><a class="search-result-link" href="${href}">
        <div class="search-result-container">
          <div class="search-result-title-container"><i class="bi bi-file-richtext search-result-icon"></i><p class="search-result-title">${title}</p></div>
          <div class="search-result-text-container"><p class="search-result-section">${section}</p><p class="search-result-text">${text}</p></div>
        </div></a></div>`,
  });
});

var fuseIndex = undefined;
var shownWarning = false;

async function readSearchData() {
  if (fuseIndex !== undefined) return fuseIndex;
  if (location.protocol == "file:" && !shownWarning) {
    alert("Search needs a web server.");
    shownWarning = true;
    return;
  }
  const offset = document.querySelector('meta[name="quarto:offset"]').content;
  const response = await fetch(offset + "search.json");
  const articles = await response.json();
  const plain = s => (s || "").replace(/[<&]/g, c => ({"<": "&lt;", "&": "&amp;"})[c]);
  const has = (article, query) => [article.title, article.section, article.text].join(" ").toLowerCase().includes(query.toLowerCase());
  return fuseIndex = {search: query => articles.filter(a => has(a, query)).map(a => {
    const at = Math.max(0, (a.text || "").toLowerCase().indexOf(query.toLowerCase()));
    const found = plain(a.text.slice(at, at + query.length));
    const text = plain(a.text.slice(Math.max(0, at - 50), at)) + `<mark class="search-match">${found}</mark>` + plain(a.text.slice(at + query.length, at + 150));
    return {href: offset + a.href, title: plain(a.title), section: plain(a.section), text};
  })};
}
