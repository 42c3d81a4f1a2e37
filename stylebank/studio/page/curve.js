// The loss over the steps, on a logarithmic scale, in the page's own colours.

export function draw(canvas, losses) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const style = getComputedStyle(canvas);
  context.clearRect(0, 0, width, height);
  const points = losses.filter(([, total]) => total > 0).map(([step, total]) => [step, Math.log(total)]);
  context.strokeStyle = style.getPropertyValue("--line");
  context.lineWidth = 1;
  for (let i = 1; i < 4; i++) {
    context.beginPath();
    context.moveTo(0, (height * i) / 4);
    context.lineTo(width, (height * i) / 4);
    context.stroke();
  }
  if (points.length < 2) return;
  const [first, last] = [points[0][0], points.at(-1)[0]];
  const [low, high] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[1]))];
  const place = ([step, loss]) => [((step - first) / (last - first || 1)) * (width - 12) + 6, height - 10 - ((loss - low) / (high - low || 1)) * (height - 20)];
  context.strokeStyle = style.getPropertyValue("--accent");
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.beginPath();
  for (const point of points) context.lineTo(...place(point));
  context.stroke();
}
