// What the search finds, and in which order; search.js loads this when the box gets the focus.
// Any word counts: an entry is the better, the more of the typed words it has, the rarer they are, and
// the more prominent their place: what people type for it (synonyms.yml), title, heading, text.
window.searchRank = (() => {
  const WEIGHTS = { words: 10, title: 8, section: 6, text: 1 };
  const MOST = 20; // results
  const MOST_OF_A_PAGE = 3;
  const IDLE = "a an and are at by can do does for from get have how i in into is it my of on or should some that " +
    "the this to use using want what when where which why with you your";
  const idle = new Set(IDLE.split(" "));

  // ------------------------------------------------------------------------------ words

  const wordsOf = (text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];

  // A word without its ending, as in scratches, scratched, scratching; and in one spelling.
  function cut(word) {
    const spelled = word.replace("color", "colour").replace(/(.{3,})iz(?=e|ing|ation)/, "$1is");
    const bare = spelled.replace(/^(.{3,}?)(?:ings?|ed|es|s|e)$/, "$1");
    return bare.replace(/([b-df-hj-np-tv-z])\1$/, "$1");
  }

  const cutWords = new Map();
  function stem(word) {
    if (!cutWords.has(word)) cutWords.set(word, cut(word));
    return cutWords.get(word);
  }

  // A question of idle words alone keeps them.
  function stemsOf(question) {
    const words = wordsOf(question);
    const busy = words.filter((word) => !idle.has(word));
    return [...new Set((busy.length ? busy : words).map(stem))];
  }

  // One letter more, less, another, or two changed about.
  function isNear(a, b) {
    let start = 0;
    while (start < a.length && a[start] === b[start]) start += 1;
    let end = 0;
    const most = Math.min(a.length, b.length) - start;
    while (end < most && a.at(-1 - end) === b.at(-1 - end)) end += 1;
    const x = a.slice(start, a.length - end);
    const y = b.slice(start, b.length - end);
    return (x.length <= 1 && y.length <= 1) || (x.length === 2 && x === y[1] + y[0]);
  }

  // ------------------------------------------------------------------------------ the index

  function place(index, text, number, weight) {
    for (const word of wordsOf(text).map(stem)) {
      if (!index.has(word)) index.set(word, new Map());
      const entries = index.get(word);
      const before = entries.get(number) || 0;
      const again = Math.min(2 * weight, before + weight / 20); // what is said often counts a little more
      entries.set(number, Math.max(before, weight, again));
    }
  }

  // For every word, the numbers of the entries that have it, with the weight of the best place.
  function makeIndex(entries) {
    const index = new Map();
    entries.forEach((entry, number) => {
      place(index, entry.text, number, WEIGHTS.text);
      place(index, entry.section, number, WEIGHTS.section);
      // a section of a page is less its subject than the page
      const share = entry.section ? 0.4 : 1;
      place(index, `${entry.title} ${entry.topic}`, number, share * WEIGHTS.title);
      for (const words of entry.words || []) place(index, words, number, WEIGHTS.words);
    });
    return { entries, index };
  }

  // The entries with a word, or with words that begin so; if there are none, with words nearly so.
  function entriesWith(word, index) {
    const found = new Map();
    const add = (other, share) => {
      for (const [number, weight] of index.get(other)) {
        found.set(number, Math.max(found.get(number) || 0, share * weight));
      }
    };
    const known = [...index.keys()];
    for (const other of known) {
      if (other.startsWith(word)) add(other, other === word ? 1 : 0.6);
    }
    const near = found.size || word.length < 4 ? [] : known.filter((other) => isNear(word, other));
    near.forEach((other) => add(other, 0.5));
    return found;
  }

  // Whether all words of a line are typed; the last may be under way.
  function isTyped(words, typed) {
    return stemsOf(words).every((word) => typed.some((one) => word.startsWith(one)));
  }

  // What is typed is a synonym or a heading, and not only among its words.
  function boost({ section, topic, words = [] }, typed) {
    if (words.some((line) => isTyped(line, typed))) return 3;
    return isTyped(section || topic.replace(/^\d+ /, ""), typed) ? 2 : 1;
  }

  function find(question, { entries, index }) {
    const typed = stemsOf(question);
    const scores = new Map();
    for (const word of typed) {
      const found = entriesWith(word, index);
      const rarity = Math.log(1 + entries.length / (1 + found.size));
      for (const [number, weight] of found) {
        const [score, count] = scores.get(number) || [0, 0];
        scores.set(number, [score + rarity * weight, count + 1]);
      }
    }
    const ranked = [...scores].map(([number, [score, count]]) => {
      const entry = entries[number];
      return [score * (count / typed.length) ** 2 * boost(entry, typed), entry];
    });
    ranked.sort((a, b) => b[0] - a[0]);
    const counts = {};
    const found = ranked.map(([, entry]) => entry).filter(({ href }) => {
      const page = href.split("#")[0];
      counts[page] = (counts[page] || 0) + 1;
      return counts[page] <= MOST_OF_A_PAGE;
    });
    return { typed, found: found.slice(0, MOST) };
  }

  return { makeIndex, find, stem };
})();
