// Before the first pixel: dark at night, unless the reader chose otherwise.
{
  const root = document.documentElement;
  if (root.dataset.theme === "auto") {
    const hour = new Date().getHours();
    const isNight = hour < 7 || hour >= 19;
    const likesDark = window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isNight || likesDark ? "dark" : "light";
  }
}
