// The search box, for both renderers. What it looks through, and the ranking of search_rank.js, are
// loaded when the box gets the focus: they are larger than most pages.
(() => {
  const top = new URL(".", document.currentScript.src);

  // ------------------------------------------------------------------------------ loading

  function loadScript(name) {
    return new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = new URL(name, top);
      script.onload = done;
      script.onerror = failed;
      document.head.append(script);
    });
  }

  // A page from disk may not fetch, but may load a script.
  async function loadEntries() {
    if (location.protocol === "file:") {
      await loadScript("search_entries.js");
      return window.searchEntries;
    }
    const response = await fetch(new URL("search.json", top));
    return response.json();
  }

  async function prepare() {
    const [entries] = await Promise.all([loadEntries(), loadScript("search_rank.js")]);
    return window.searchRank.makeIndex(entries);
  }

  let index = null;
  const load = () => (index ??= prepare());

  // ------------------------------------------------------------------------------ the box

  const BOX = `
    <svg viewBox="0 0 16 16" width="13" height="13" aria-hidden="true">
      <path d="M10.5 10.5 15 15M12 6.5a5.5 5.5 0 1 1-11 0 5.5 5.5 0 0 1 11 0z"></path></svg>
    <input type="search" class="form-control form-control-sm" placeholder="Search" aria-label="Search"
      role="combobox" aria-autocomplete="list" aria-expanded="false" aria-controls="search-results" autocomplete="off"
      spellcheck="false">
    <p role="status" class="visually-hidden"></p>
    <div id="search-results" role="listbox" aria-label="Search results" hidden></div>`;

  function element(tag, kind, ...content) {
    const made = document.createElement(tag);
    made.className = kind;
    made.append(...content);
    return made;
  }

  // The text from a little before the first word that is typed, with those words marked.
  function excerpt(text, typed) {
    const parts = text.split(/([\p{L}\p{N}]+)/u);
    const begins = (stem) => typed.some((word) => stem.startsWith(word));
    const isMarked = (part) => part && begins(window.searchRank.stem(part.toLowerCase()));
    const first = Math.max(0, parts.findIndex(isMarked) - 16);
    const shown = parts.slice(first, first + 90).map((part) => (isMarked(part) ? element("mark", "", part) : part));
    return element("span", "search-result-text", first ? "…" : "", ...shown);
  }

  function option({ href, title, topic, section, text }, typed, number) {
    const link = element("a", "search-result");
    link.id = `search-result-${number}`;
    link.href = new URL(href, top);
    link.tabIndex = -1;
    link.setAttribute("role", "option");
    link.setAttribute("aria-selected", "false");
    link.append(element("span", "search-result-title", section || title));
    link.append(element("span", "search-result-section", topic || title), excerpt(text, typed));
    return link;
  }

  function build(box) {
    box.className = "find";
    box.removeAttribute("title");
    box.setAttribute("role", "search");
    box.innerHTML = BOX;
    const [input, status, list] = ["input", "[role=status]", "[role=listbox]"].map((part) => box.querySelector(part));
    let active = -1;
    let asked = 0;

    function open(isOpen) {
      list.hidden = !isOpen;
      input.setAttribute("aria-expanded", isOpen);
      if (!isOpen) choose(-1);
    }

    function choose(number) {
      active = number;
      [...list.children].forEach((link, i) => link.setAttribute("aria-selected", i === active));
      if (active < 0) return input.removeAttribute("aria-activedescendant");
      input.setAttribute("aria-activedescendant", list.children[active].id);
      list.children[active].scrollIntoView({ block: "nearest" });
    }

    function show({ typed, found }) {
      list.replaceChildren(...found.map((entry, i) => option(entry, typed, i)));
      const number = found.length === 1 ? "1 result" : `${found.length} results`;
      status.textContent = found.length ? number : "Nothing found";
      status.classList.toggle("visually-hidden", found.length > 0);
      open(found.length > 0);
    }

    function clear() {
      status.textContent = "";
      status.classList.add("visually-hidden");
      list.replaceChildren();
      open(false);
    }

    // Only the last question is answered, where an earlier one has waited for the index.
    async function answer() {
      const question = (asked += 1);
      const text = input.value.trim();
      if (text.length < 2) return clear();
      const loaded = await load();
      if (question === asked) show(window.searchRank.find(text, loaded));
    }

    async function press(event) {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") {
        asked += 1; // what is under way is not shown
        if (list.hidden) input.value = "";
        event.preventDefault(); // the first press closes the list, and only the next empties the box
        return clear();
      }
      if (event.key === "Enter") {
        event.preventDefault();
        const chosen = active;
        if (chosen < 0) await answer();
        list.children[Math.max(chosen, 0)]?.click();
      }
      if (!step) return;
      event.preventDefault();
      if (list.hidden) await answer();
      const n = list.children.length;
      if (n) choose(active < 0 && step < 0 ? n - 1 : (active + step + n) % n);
    }

    let timer = 0;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(answer, 120);
    });
    input.addEventListener("focus", load);
    input.addEventListener("keydown", press);
    box.addEventListener("focusout", (event) => {
      if (!box.contains(event.relatedTarget)) open(false);
    });
    list.addEventListener("click", () => open(false));
    return input;
  }

  const input = build(document.getElementById("quarto-search"));
  // "/" and Ctrl-K or Cmd-K lead to the box
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    const isSlash = event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!isSlash && !(event.key === "k" && (event.ctrlKey || event.metaKey))) return;
    event.preventDefault();
    input.focus();
  });
})();
