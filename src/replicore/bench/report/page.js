"use strict";

// A figure's colours are names of the page's variables: "--series-0", or "--series-0/0.2" with an opacity.
function color(name) {
  const [variable, opacity] = name.split("/");
  const value = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
  if (opacity === undefined) return value;
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(value.slice(start, start + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}

function themed(value) {
  if (typeof value === "string") return value.startsWith("--") ? color(value) : value;
  if (Array.isArray(value)) return value.map(themed);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner)]));
}

const options = { responsive: true, displayModeBar: false };

function draw() {
  const drawn = [...document.querySelectorAll(".plot")].map((plot) => {
    const { data, layout } = themed(JSON.parse(plot.nextElementSibling.textContent));
    return Plotly.react(plot, data, layout, options);
  });
  return Promise.all(drawn);
}

async function load() {
  const packed = atob(document.getElementById("plotly").textContent);
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacked).text();
  document.head.append(script);
}

function failed(error) {
  document.documentElement.dataset.charts = "failed";
  for (const plot of document.querySelectorAll(".plot")) {
    plot.classList.add("failed");
    plot.textContent = `this chart cannot be drawn here: ${error.message}`;
  }
}

load()
  .then(draw)
  .then(() => {
    document.documentElement.dataset.charts = "drawn";
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  })
  .catch(failed);
