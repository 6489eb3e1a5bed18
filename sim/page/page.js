/* Draws the charts of an xfdsim report from the document in #data. The tables have the numbers. */
(function () {
"use strict";
const doc = JSON.parse(document.getElementById("data").textContent);
const charts = [];
let ink;

function colours() {
	const style = getComputedStyle(document.documentElement);
	const get = name => style.getPropertyValue(name).trim();
	ink = {
		text: get("--text"), quiet: get("--quiet"), line: get("--line"), accent: get("--accent"),
		parts: [1, 2, 3, 4, 5].map(i => get("--c" + i)),
	};
	Chart.defaults.color = ink.text;
	Chart.defaults.borderColor = ink.line;
	Chart.defaults.font.family = "system-ui, sans-serif";
	Chart.defaults.animation = false;
	Chart.defaults.maintainAspectRatio = false;
}

const short = v => Math.abs(v) >= 1e9 ? +(v / 1e9).toPrecision(3) + " G"
	: Math.abs(v) >= 1e6 ? +(v / 1e6).toPrecision(3) + " M"
	: Math.abs(v) >= 1e3 ? +(v / 1e3).toPrecision(3) + " k" : String(+(+v).toPrecision(3));
const cycles = v => Math.round(v).toLocaleString("en") + " cycles";
const title = text => ({display: true, text: text, color: ink.quiet});

function bars(labels, datasets, axis, tooltip, stacked) {
	return {
		type: "bar",
		data: {labels: labels, datasets: datasets},
		options: {
			indexAxis: "y",
			scales: {
				x: Object.assign({stacked: stacked, ticks: {callback: short, maxTicksLimit: 7}}, axis),
				y: {stacked: stacked, grid: {display: false}, ticks: {autoSkip: false}},
			},
			plugins: {
				legend: {display: datasets.length > 1, position: "bottom", labels: {boxWidth: 12}},
				tooltip: {callbacks: {label: tooltip}},
			},
		},
	};
}

const makers = {
	split(group) {
		const parts = [["exit", "VM-exits"], ["xfd", "XFD"], ["fpu", "FPU state"],
			["user", "userspace"], ["sched", "scheduler"]];
		return bars(group.policies.map(p => p.policy), parts.map(([key, name], i) => ({
			label: name, backgroundColor: ink.parts[i],
			data: group.policies.map(p => p.cycles_by_group[key]),
		})), {title: title("cycles at typical prices")},
		c => c.dataset.label + ": " + cycles(c.raw), true);
	},
	above(group) {
		const winner = group.policies[0].policy;
		const pairs = group.pairs.filter(p => p.a === winner);
		const chart = bars(pairs.map(p => p.b), [{
			label: "5% to 95%", backgroundColor: ink.parts[0], minBarLength: 3,
			data: pairs.map(p => [p.difference_p5, p.difference_p95]),
		}], {title: title("cycles above " + winner)}, c => {
			const p = pairs[c.dataIndex];
			return [cycles(p.difference_p5) + " to " + cycles(p.difference_p95),
				"median " + cycles(p.difference_p50),
				winner + " is cheaper in " + (100 * p.a_cheaper_probability).toFixed(2) + "% of draws"];
		});
		return pairs.length ? chart : null;
	},
	tornado(group) {
		const s = group.sensitivity;
		const rows = s.rows.filter(r => r.margin_at_low !== r.margin_at_high).slice(0, 10);
		if (!s.rival || !rows.length)
			return null;
		const chart = bars(rows.map(r => r.step), [
			{label: "price low", backgroundColor: ink.parts[0], data: rows.map(r => [s.margin, r.margin_at_low])},
			{label: "price high", backgroundColor: ink.parts[1], data: rows.map(r => [s.margin, r.margin_at_high])},
		], {title: title("cycles that " + s.rival + " costs above " + s.winner)}, c => {
			const r = rows[c.dataIndex];
			return c.datasetIndex ? "at " + r.high + ": " + cycles(r.margin_at_high)
				: "at " + r.low + ": " + cycles(r.margin_at_low);
		}, false);
		chart.data.datasets.forEach(d => { d.grouped = false; });
		return chart;
	},
	latency(group) {
		const names = ["p50", "p90", "p99", "max"];
		if (!group.policies[0].xfd_write.count)
			return null;
		return bars(group.policies.map(p => p.policy), names.map((name, i) => ({
			label: name, backgroundColor: ink.parts[i], data: group.policies.map(p => p.xfd_write[name]),
		})), {type: "logarithmic", min: 10, title: title("cycles, typical prices, logarithmic")},
		c => c.dataset.label + ": " + cycles(c.raw));
	},
	map() {
		const ratio = doc.break_even.typical.writes_per_exit;
		const points = doc.groups.filter(g => g.writes_per_exit > 0 && g.exits_per_second > 0);
		if (ratio === null)
			return null;
		const line = (label, data, colour, width) => ({
			label: label, data: data, showLine: true, borderColor: colour, borderWidth: width,
			pointRadius: 0, pointHitRadius: 6,
		});
		const between = (b) => doc.break_even[b].writes_per_exit;
		return scatter([
			{label: "traces", data: points.map(g => ({x: g.writes_per_exit, y: g.exits_per_second, g: g})),
				backgroundColor: ink.parts[1], pointRadius: 6, pointHoverRadius: 8, order: -1},
			line("break-even", [{x: ratio, y: 10}, {x: ratio, y: 1e6}], ink.text, 3),
			line("at low prices", [{x: between("low"), y: 10}, {x: between("low"), y: 1e6}], ink.quiet, 1),
			line("at high prices", [{x: between("high"), y: 10}, {x: between("high"), y: 1e6}], ink.quiet, 1),
		].concat(doc.map.contours.map(c => Object.assign(line(
			Math.abs(c.core_percent) + "% of a core", c.points.map(p => ({x: p[0], y: p[1]})),
			c.core_percent < 0 ? ink.parts[0] : ink.parts[2], 1), {borderDash: [4, 3]}))),
		{type: "logarithmic", min: 1e-4, max: 10, title: title("XFD writes per VM-exit")},
		{type: "logarithmic", min: 10, max: 1e6, title: title("VM-exits a second")}, true);
	},
	by_sync() { return variant(doc.map.by_sync, "cycles for a sync", true); },
	by_exit() { return variant(doc.map.by_exit, "cycles for a light VM-exit round trip", false); },
};

function variant(points, name, trapAbove) {
	if (!points.length)
		return null;
	return scatter([{
		label: "break-even", data: points.map(p => ({x: p[0], y: p[1]})), showLine: true,
		borderColor: ink.text, borderWidth: 3, pointRadius: 0, pointHitRadius: 6,
	}], {beginAtZero: true, title: title("XFD writes per VM-exit")}, {title: title(name)}, trapAbove);
}

/* The two sides, in words, behind the lines. */
const sides = {
	id: "sides",
	beforeDatasetsDraw(chart) {
		const area = chart.chartArea, ctx = chart.ctx;
		const above = chart.options.trapAbove;
		ctx.save();
		ctx.fillStyle = ink.quiet;
		ctx.font = "12px system-ui, sans-serif";
		ctx.fillText("trap", area.left + 6, above ? area.top + 14 : area.bottom - 6);
		ctx.textAlign = "right";
		ctx.fillText("pass through", area.right - 6, above ? area.bottom - 6 : area.top + 14);
		ctx.restore();
	},
};

function scatter(datasets, x, y, trapAbove) {
	const ticks = {callback: short, maxTicksLimit: 8, autoSkip: true, maxRotation: 0};
	const whole = v => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9;
	const decades = {callback: v => whole(v) ? short(v) : "", maxRotation: 0, autoSkip: false};
	const grid = {color: c => !c.tick || whole(c.tick.value) ? ink.line : "transparent"};
	const axis = a => Object.assign(a.type ? {ticks: decades, grid: grid} : {ticks: ticks}, a);
	return {
		type: "scatter",
		data: {datasets: datasets},
		options: {
			trapAbove: trapAbove,
			scales: {
				x: axis(x),
				y: axis(y),
			},
			plugins: {
				legend: {display: false},
				tooltip: {callbacks: {label: c => c.raw.g ? c.raw.g.trace + ", kernel " + c.raw.g.kernel +
					": " + c.raw.g.policies[0].policy + " costs least"
					: c.dataset.label + ": " + short(c.raw.x) + ", " + short(c.raw.y)}},
			},
		},
		plugins: [sides],
	};
}

function draw() {
	while (charts.length)
		charts.pop().destroy();
	colours();
	document.documentElement.classList.add("drawn");
	document.querySelectorAll("canvas[data-chart]").forEach(canvas => {
		const config = makers[canvas.dataset.chart](doc.groups[+canvas.dataset.group]);
		if (config)
			charts.push(new Chart(canvas, config));
		else
			canvas.closest("figure").remove();
	});
}

const folds = document.querySelectorAll("details.fold");
folds.forEach(d => { d.open = false; });
addEventListener("beforeprint", () => folds.forEach(d => { d.open = true; }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
}());
