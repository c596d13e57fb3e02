// Bokeh draws on a canvas, which knows no style sheet: its text takes the page's colours here.
const dark = matchMedia("(prefers-color-scheme: dark)");

function paint() {
  const style = getComputedStyle(document.documentElement);
  const [ink, faint, edge] = ["--ink", "--faint", "--edge"].map(
    (name) => style.getPropertyValue(name).trim());
  for (const figure of figures) {
    figure.outline_line_color = edge;
    figure.title.text_color = ink;
    for (const side of [figure.above, figure.below, figure.left, figure.right, figure.center]) {
      for (const part of side) {
        if ("major_label_text_color" in part) {
          part.major_label_text_color = part.axis_label_text_color = ink;
          part.axis_line_color = part.major_tick_line_color = faint;
          part.minor_tick_line_color = null;
        } else if ("label_text_color" in part) {
          part.label_text_color = ink;
          part.background_fill_color = part.border_line_color = null;
        } else if ("grid_line_color" in part) {
          part.grid_line_color = edge;
        }
      }
    }
  }
}

paint();
dark.addEventListener("change", paint);
