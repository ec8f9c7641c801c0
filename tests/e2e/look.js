// Waits until everything is drawn, at most for some milliseconds, and returns what can be read
// on the page and what is wrong with it, whatever shadow root it is in.
async (patience) => {
  let texts;
  let pending;
  let wrong;

  const isClipped = (element) => {
    for (let level = 0; element && level < 4; level += 1) {
      if (
        getComputedStyle(element).textOverflow === "ellipsis" &&
        element.scrollWidth > element.clientWidth + 1
      ) {
        return true;
      }
      element = element.assignedSlot ?? element.parentElement ?? element.getRootNode().host;
    }
    return false;
  };

  const lookAtImage = (image) => {
    if (!image.complete) {
      pending.push(image.src);
    } else if (image.src.includes("plex_account") && !image.naturalWidth) {
      wrong.push(`no picture: ${image.src}`);
    }
  };

  const lookAtIcon = (icon) => {
    const drawing = icon.shadowRoot?.querySelector("ha-svg-icon");
    if (icon.icon && !drawing?.path) {
      pending.push(icon.icon);
    }
  };

  const lookAtTexts = (element) => {
    // What is typed is nobody's text.
    if (element.closest("[contenteditable], script, style")) {
      return;
    }
    for (const node of element.childNodes) {
      if (node.nodeType === Node.TEXT_NODE && node.data.trim()) {
        texts.push({ text: node.data.trim(), clipped: isClipped(element) });
      }
    }
  };

  const look = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) {
        look(element.shadowRoot);
      }
      if (!element.checkVisibility({ visibilityProperty: true })) {
        continue;
      }
      if (element.localName === "img") {
        lookAtImage(element);
      } else if (element.localName === "ha-icon") {
        lookAtIcon(element);
      }
      lookAtTexts(element);
    }
  };

  const deadline = performance.now() + patience;
  do {
    await new Promise(requestAnimationFrame);
    texts = [];
    pending = [];
    wrong = [];
    look(document);
  } while (pending.length && performance.now() < deadline);

  if (document.documentElement.scrollWidth > innerWidth + 1) {
    wrong.push("the page is wider than the window");
  }
  return { texts, wrong: [...wrong, ...pending.map((name) => `not drawn: ${name}`)] };
}
