// Elements by their ids.

export const $ = (id) => document.getElementById(id);

/** Gives an element its text, where that is new: whoever listens hears of changes only. */
export const put = (id, value) => {
  if ($(id).textContent !== value) $(id).textContent = value;
};
