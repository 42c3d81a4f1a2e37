// Rows of a list that are dragged to another place: by mouse anywhere on the row, by touch at the grip, which does not scroll.

const FAR = 5; // CSS pixels from which a press is a drag

/** Lets a row of `list` be dragged; `dropped(places)` says by how many rows downwards. Rows of class `rest` stay last. */
export function sortable(list, row, dropped) {
  row.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(".grip");
    if (event.button || event.target.closest(".area-tools, input") || (event.pointerType === "touch" && !grip)) return;
    if (grip) event.preventDefault();
    const stop = new AbortController();
    const drag = { list, row, from: event.clientY, rows: null, to: 0 };
    const each = (kind, run) => addEventListener(kind, (other) => other.pointerId === event.pointerId && run(other), { signal: stop.signal });
    const end = (keep) => () => {
      stop.abort();
      settle(drag);
      dropped(keep && drag.rows ? drag.to : null);
    };
    each("pointermove", (moved) => move(drag, moved));
    each("pointerup", end(true));
    each("pointercancel", end(false));
  });
}

function move(drag, { clientY, pointerId }) {
  const { list, row } = drag;
  const way = clientY - drag.from;
  if (!drag.rows) {
    if (Math.abs(way) < FAR) return;
    drag.rows = [...list.children].filter((one) => !one.matches(".rest"));
    drag.boxes = drag.rows.map((one) => one.getBoundingClientRect());
    drag.at = drag.rows.indexOf(row);
    row.setPointerCapture(pointerId);
    row.classList.add("lifted");
    list.classList.add("sorting");
  }
  const { boxes, at, rows } = drag;
  const middle = boxes[at].top + boxes[at].height / 2 + way;
  const to = boxes.filter((box, i) => i !== at && box.top + box.height / 2 < middle).length;
  drag.to = to - at;
  row.style.transform = `translateY(${way}px)`;
  const step = boxes[at].height + 4;
  rows.forEach((one, i) => {
    if (one === row) return;
    const shift = i > at && i <= to ? -step : i < at && i >= to ? step : 0;
    one.style.transform = shift ? `translateY(${shift}px)` : "";
  });
}

function settle({ list, row, rows }) {
  for (const one of rows ?? []) one.style.transform = "";
  row.classList.remove("lifted");
  list.classList.remove("sorting");
}
