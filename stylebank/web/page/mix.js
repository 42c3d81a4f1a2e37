// Which styles, in which proportions: cards to choose from, and a slider for each part of a mixture.

const MOST = 4;
const cards = document.getElementById("cards"), parts = document.getElementById("parts"), hint = document.getElementById("hint");

export class Mix {
  /** `changed` hears of every change. */
  constructor(styles, changed) {
    this.styles = new Map(styles.map((style) => [style.name, style]));
    this._changed = changed;
    this._weights = new Map([[styles[0].name, 50]]);
    this._cards = new Map(styles.map((style) => [style.name, this._card(style)]));
    this._show();
  }

  /** [[name, weight], ...], none of them 0; the first alone if all are. */
  get value() {
    const found = [...this._weights].filter(([, weight]) => weight > 0);
    return found.length ? found : [[[...this._weights.keys()][0], 1]];
  }

  /** In words, with shares. */
  get words() {
    const value = this.value, whole = value.reduce((sum, [, weight]) => sum + weight, 0);
    return value.map(([name, weight]) => (value.length > 1 ? `${Math.round((100 * weight) / whole)} % ` : "") + this.styles.get(name).title).join(" and ");
  }

  /** Show a style's thumbnail. */
  thumbnail(name, { width, height, data }) {
    const canvas = this._cards.get(name).querySelector("canvas");
    canvas.width = width;
    canvas.height = height;
    canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
    canvas.classList.add("is-painted");
  }

  reset() {
    this._weights = new Map([[[...this._weights.keys()][0], 50]]);
    this._show();
  }

  _card(style) {
    const card = made("li", { className: "card" });
    const pick = made("button", { className: "pick", title: `${style.title}\n${style.by}` });
    pick.append(made("canvas", { width: 3, height: 2, ariaHidden: "true" }), made("span", { className: "name", textContent: style.title }));
    pick.onclick = () => this._set(new Map([[style.name, 50]]));
    const add = made("button", { className: "add", textContent: "+", ariaLabel: `Mix in ${style.title}` });
    add.onclick = () => {
      const weights = new Map(this._weights);
      if (!weights.delete(style.name)) weights.set(style.name, 50);
      this._set(weights);
    };
    card.append(pick, add);
    cards.append(card);
    return card;
  }

  _set(weights) {
    this._weights = weights;
    this._show();
    this._changed();
  }

  _show() {
    const several = this._weights.size > 1;
    for (const [name, card] of this._cards) {
      const [pick, add] = card.children, isIn = this._weights.has(name);
      pick.setAttribute("aria-pressed", isIn);
      add.disabled = isIn ? !several : this._weights.size >= MOST;
      add.textContent = isIn && several ? "−" : "+";
      add.ariaLabel = `${isIn && several ? "Take out" : "Mix in"} ${this.styles.get(name).title}`;
    }
    hint.hidden = several;
    parts.replaceChildren(...(several ? [...this._weights.keys()].map((name) => this._part(name)) : []));
    this._tell();
  }

  _part(name) {
    const part = made("li", { className: "part" }), label = made("label", { className: "slider" }), line = made("span");
    line.append(made("span", { textContent: this.styles.get(name).title }), made("span", { className: "out", ariaHidden: "true" }));
    const range = made("input", { type: "range", min: 0, max: 100, value: this._weights.get(name) });
    range.oninput = () => {
      this._weights.set(name, Number(range.value));
      this._tell();
      this._changed();
    };
    label.append(line, range);
    const remove = made("button", { className: "remove", textContent: "×", ariaLabel: `Take out ${this.styles.get(name).title}` });
    remove.onclick = () => {
      const weights = new Map(this._weights);
      weights.delete(name);
      this._set(weights);
      (parts.querySelector(".remove") ?? this._cards.get([...weights.keys()][0]).querySelector(".pick")).focus();
    };
    part.append(label, remove);
    return part;
  }

  _tell() {
    const whole = [...this._weights.values()].reduce((sum, weight) => sum + weight, 0);
    for (const [place, weight] of [...this._weights.values()].entries()) {
      const output = parts.children[place]?.querySelector(".out");
      if (output) output.textContent = `${whole ? Math.round((100 * weight) / whole) : 0} %`;
    }
  }
}

function made(kind, values = {}) {
  return Object.assign(document.createElement(kind), values);
}
