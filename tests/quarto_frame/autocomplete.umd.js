// The box, or where the window is narrow a button that opens one over the page, and the list below.
const glass = `<svg viewBox="0 0 16 16" width="16" height="16" fill="currentColor"><path d="M11 10l4 4-1 1-4-4a5 5 0 1 1 1-1zM7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8z"/></svg>`;
const form = placeholder => `
  <form class="aa-Form d-flex" role="search">
    <div class="aa-InputWrapperPrefix"><label class="aa-Label" for="aa-input"><button class="aa-SubmitButton" type="submit" title="Submit">${glass}</button></label></div>
    <div class="aa-InputWrapper"><input class="aa-Input" id="aa-input" type="search" autocomplete="off" placeholder="${placeholder}" aria-label="Search"></div>
  </form>`;

window["@algolia/autocomplete-js"] = {
  autocomplete({container, panelContainer, detachedMediaQuery, placeholder, getItems, renderItem}) {
    function listen(root, list) {
      root.querySelector("form").addEventListener("submit", e => e.preventDefault());
      root.querySelector("input").addEventListener("input", async e => {
        const items = await getItems({query: e.target.value});
        list.innerHTML = `<div class="aa-Panel"><div class="aa-PanelLayout"><section class="aa-Source">
          <div class="aa-SourceHeader"><div class="search-result-header">${items.length} matching documents</div></div>
          <ul class="aa-List">${items.map((item, i) => `<li class="aa-Item" aria-selected="${i == 0}">${renderItem(item)}</li>`).join("")}</ul>
        </section></div></div>`;
      });
    }
    if (matchMedia(detachedMediaQuery).matches) {
      container.innerHTML = `<div class="aa-Autocomplete"><button type="button" class="aa-DetachedSearchButton" title="Search" aria-label="Search">
        <div class="aa-DetachedSearchButtonIcon">${glass}</div></button></div>`;
      container.querySelector("button").addEventListener("click", () => {
        const overlay = document.createElement("div");
        overlay.className = "aa-DetachedOverlay";
        overlay.innerHTML = `<div class="aa-DetachedContainer aa-DetachedContainer--modal"><div class="aa-DetachedFormContainer">${form(placeholder)}</div><div class="aa-List-here"></div></div>`;
        document.body.append(overlay);
        listen(overlay, overlay.querySelector(".aa-List-here"));
        overlay.querySelector("input").focus();
      });
    } else {
      container.innerHTML = `<div class="aa-Autocomplete" role="search">${form(placeholder)}</div>`;
      listen(container, document.querySelector(panelContainer));
    }
  },
};
