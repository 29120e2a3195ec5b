// Room for the header, which hides on the way down where there is a Headroom.
addEventListener("DOMContentLoaded", () => {
  const header = document.querySelector("header.fixed-top");
  function place() {
    const height = header.clientHeight;
    document.body.style.paddingTop = `${height}px`;
    for (const bar of document.querySelectorAll(".sidebar")) {
      const hidden = window.Headroom && bar.classList.contains("sidebar-unpinned");
      bar.style.top = hidden ? "0" : `${height}px`;
      bar.style.maxHeight = hidden ? "100vh" : `calc(100vh - ${height}px)`;
    }
  }
  const mark = away => {
    for (const bar of document.querySelectorAll(".sidebar")) bar.classList.toggle("sidebar-unpinned", away);
    place();
  };
  if (window.Headroom) {
    const headroom = new window.Headroom(header, {onPin: () => mark(false), onUnpin: () => mark(true)});
    headroom.init();
    window.quartoToggleHeadroom = () => headroom.freeze();
  }
  new ResizeObserver(place).observe(header);
});
