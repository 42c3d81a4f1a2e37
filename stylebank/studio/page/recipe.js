// What the words of a style mean (`wave:0.6+scream:0.4/mosaic`), and what the gallery and sliders work on.

import { edit, PHOTO, store } from "./state.js";

export { PHOTO };
export const MOST = 4;

/** {forms: [{name, weight}], marks: name or ""} */
export function parse(style) {
  const [forms, marks = ""] = style.split("/");
  const parts = forms.split("+").map((part) => {
    const [name, weight = "1"] = part.split(":");
    return { name, weight: Number(weight) };
  });
  const sum = parts.reduce((total, part) => total + part.weight, 0) || 1;
  return { forms: parts.map((part) => ({ ...part, weight: part.weight / sum })), marks };
}

export function format({ forms, marks }) {
  const kept = forms.filter((part) => part.weight > 0.0005);
  const words = kept.length === 1 ? kept[0].name : forms.map((part) => `${part.name}:${round(part.weight)}`).join("+");
  return marks && kept[0]?.name !== PHOTO ? `${words}/${marks}` : words;
}

const round = (weight) => Math.max(0.001, Math.round(weight * 1000) / 1000);

/** The region that is selected, or the whole picture's part of the recipe. */
export function target() {
  return store.recipe.regions.find((region) => region.key === store.selected) ?? store.recipe;
}

export function editTarget(patch, options) {
  edit((recipe) => {
    if (store.selected === null) return patch;
    return { regions: recipe.regions.map((one) => (one.key === store.selected ? { ...one, ...patch } : one)) };
  }, options);
}

export function titleOf(name) {
  if (name === PHOTO) return "Original photo";
  const style = store.styles.find((one) => one.name === name);
  const dated = style?.title?.split(" + ").length === 1 ? style.title : "";
  return dated.replace(/,? (c\. ?)?\(?\d{4}[-–\d]*\)?$/, "") || pretty(name);
}

export const artistOf = (name) => store.styles.find((one) => one.name === name)?.artist || "";

export function pretty(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

/** Adds a style to the mix of the target with an even share, or takes it out if it is there. */
export function toggleInMix(name) {
  const mix = parse(target().style);
  if (mix.forms.some((part) => part.name === name)) return removeFromMix(name);
  if (mix.forms[0].name === PHOTO) return editTarget({ style: name });
  if (mix.forms.length >= MOST) mix.forms.pop();
  const share = 1 / (mix.forms.length + 1);
  const sum = mix.forms.reduce((total, part) => total + part.weight, 0);
  const forms = mix.forms.map((part) => ({ ...part, weight: (part.weight / sum) * (1 - share) }));
  return editTarget({ style: format({ ...mix, forms: [...forms, { name, weight: share }] }) });
}

export function removeFromMix(name) {
  const mix = parse(target().style);
  const forms = mix.forms.filter((part) => part.name !== name);
  editTarget({ style: forms.length ? format({ ...mix, forms }) : PHOTO });
}

/** Another weight of one style; the others share what is left as they did. */
export function reweigh(name, weight, options) {
  const mix = parse(target().style);
  const rest = mix.forms.reduce((sum, part) => sum + (part.name === name ? 0 : part.weight), 0);
  const forms = mix.forms.map((part) => {
    if (part.name === name) return { name, weight };
    const share = rest > 1e-6 ? part.weight / rest : 1 / (mix.forms.length - 1);
    return { name: part.name, weight: share * (1 - weight) };
  });
  editTarget({ style: format({ ...mix, forms: keepAll(forms) }) }, options);
}

/** None quite zero, so that a style stays in the mix while its slider is at the end. */
export const keepAll = (forms) => forms.map((part) => ({ ...part, weight: Math.max(0.001, part.weight) }));
