// Bokeh draws on a canvas, which knows no style sheet: its text takes the page's colours here. They
// are this browser's own, and the server is not told of them.
const dark = matchMedia("(prefers-color-scheme: dark)");

function set(model, attributes) {
  model.setv(attributes, { sync: false });
}

function paint() {
  const style = getComputedStyle(document.documentElement);
  const [ink, faint, edge] = ["--ink", "--faint", "--edge"].map(
    (name) => style.getPropertyValue(name).trim());
  const axis = {
    major_label_text_color: ink, axis_label_text_color: ink,
    axis_line_color: faint, major_tick_line_color: faint, minor_tick_line_color: null,
  };
  const legend = { label_text_color: ink, background_fill_color: null, border_line_color: null };
  for (const figure of figures) {
    set(figure, { outline_line_color: edge });
    set(figure.title, { text_color: ink });
    const { above, below, left, right, center } = figure;
    for (const part of [above, below, left, right, center].flat()) {
      if ("major_label_text_color" in part) { set(part, axis); }
      else if ("label_text_color" in part) { set(part, legend); }
      else if ("grid_line_color" in part) { set(part, { grid_line_color: edge }); }
    }
  }
}

paint();
dark.addEventListener("change", paint);
