// A photo from a file, as the browser shows it: upright, in sRGB, over white where it is transparent.

const MOST = 12e6; // pixels: larger photos are shrunk

/** {width, height, data}: RGB, and what the file was called. */
export async function opened(blob, name) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`${name}: your browser cannot read it; choose a JPEG, PNG or WebP`);
  }
  const scale = Math.min(1, Math.sqrt(MOST / (bitmap.width * bitmap.height)));
  const [width, height] = [bitmap.width, bitmap.height].map((length) => Math.max(1, Math.round(length * scale)));
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data, data = new Uint8Array(3 * width * height);
  for (let i = 0, to = 0; to < data.length; i += 4, to += 3) {
    data[to] = pixels[i];
    data[to + 1] = pixels[i + 1];
    data[to + 2] = pixels[i + 2];
  }
  return { width, height, data, canvas, name: name.replace(/\.[^.]*$/, "") || "photo" };
}
