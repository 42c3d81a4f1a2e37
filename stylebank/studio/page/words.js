// Times and sizes in words.

export function lasting(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

export function megapixels({ width, height }) {
  const million = (width * height) / 1e6;
  return `${width} × ${height} pixels, ${million < 10 ? million.toFixed(1) : Math.round(million)} megapixels`;
}
