/**
 * An element of index.html, which has them all.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function element(id) {
  return typed(id, HTMLElement);
}

/**
 * The same, of a certain kind.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function typed(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`index.html has no ${type.name} #${id}`);
  return found;
}
