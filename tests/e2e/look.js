// Waits until everything is drawn, at most for some milliseconds, and returns what can be read
// on the page and what is wrong with it, whatever shadow root it is in.
async (patience) => {
  let texts;
  let pending;
  let wrong;
  const backgrounds = {};

  // Whether a part of a text is hidden, and can't be scrolled to. The sizes of elements are
  // rounded; those of a range are not.
  const isClipped = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const text = range.getBoundingClientRect();
    const axes = new Set(["overflowX", "overflowY"]);
    let element = node.parentElement;
    while (element && element !== document.body && axes.size) {
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      const padding = (side) =>
        style.textOverflow === "ellipsis" ? parseFloat(style[`padding${side}`]) : 0;
      const exceeds = {
        overflowX:
          text.left < box.left + padding("Left") - 0.1 ||
          text.right > box.right - padding("Right") + 0.1,
        // Letters may be a bit higher than their line.
        overflowY: text.top < box.top - 2 || text.bottom > box.bottom + 2,
      };
      // What is hidden as a whole is not cut off.
      const isSeen =
        Math.min(text.right, box.right) - Math.max(text.left, box.left) > 2 &&
        Math.min(text.bottom, box.bottom) - Math.max(text.top, box.top) > 2;
      for (const axis of axes) {
        if (isSeen && exceeds[axis] && ["hidden", "clip"].includes(style[axis])) {
          return true;
        }
        if (style.position === "fixed" || ["auto", "scroll"].includes(style[axis])) {
          axes.delete(axis);
        }
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

  // The picture of a card is its background.
  const lookAtBackground = (element) => {
    const [, url] = getComputedStyle(element).backgroundImage.match(/^url\("(.+)"\)$/) ?? [];
    if (url) {
      backgrounds[url] ??= Object.assign(new Image(), { src: url });
      lookAtImage(backgrounds[url]);
    }
  };

  const lookAtIcon = (icon) => {
    const drawing = icon.shadowRoot?.querySelector("ha-svg-icon");
    if (icon.icon && !drawing?.path) {
      pending.push(icon.icon);
    }
  };

  // What is to be filled in is loaded when it is needed.
  const lookAtSelector = (selector) => {
    const field = selector.shadowRoot?.firstElementChild;
    if (!field?.shadowRoot?.childElementCount) {
      pending.push(field?.localName ?? "ha-selector");
    }
  };

  const lookAtTexts = (element) => {
    // What is typed is nobody's text.
    if (element.closest("[contenteditable], script, style")) {
      return;
    }
    for (const node of element.childNodes) {
      if (node.nodeType === Node.TEXT_NODE && node.data.trim()) {
        texts.push({ text: node.data.trim(), clipped: isClipped(node) });
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
      } else if (element.localName === "ha-selector") {
        lookAtSelector(element);
      }
      lookAtBackground(element);
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
