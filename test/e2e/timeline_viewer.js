// timeline_viewer.js VIEWER TRACE: what Catapult, the viewer of chrome://tracing, makes of a trace.
//
// VIEWER is trace_viewer_full.html, the viewer in one file. Its scripts run here without their user
// interface, which does not load outside a browser. One line for each name on each track:
//   process|track|name|slices or moments|how many|nanoseconds in all
'use strict';
const fs = require('fs');
const vm = require('vm');

function loadViewer(html) {
    const all = html.match(/<script>([\s\S]*?)<\/script>/)[1];
    global.global = global;
    global.Polymer = () => {};
    for (const part of all.split(/(?='use strict';)/)) {
        try {
            vm.runInThisContext(part);
        } catch (e) {
            // A part of the user interface.
        }
        if (global.window && global.window.oboe)
            global.oboe = global.window.oboe;
    }
}

function read(trace) {
    const model = new tr.Model();
    const options = new tr.importer.ImportOptions();
    options.shiftWorldToZero = false;
    options.trackDetailedModelStats = true;
    new tr.importer.Import(model, options).importTraces([trace]);
    for (const w of model.importWarnings)
        console.log(`warning|${w.type}|${w.message}`);
    return model;
}

function tell(model) {
    const rows = new Map();
    const add = (process, track, name, kind, ms) => {
        const key = [process, track, name, kind].join('|');
        const row = rows.get(key) || {n: 0, ms: 0};
        rows.set(key, {n: row.n + 1, ms: row.ms + ms});
    };
    for (const process of model.getAllProcesses())
        for (const thread of Object.values(process.threads))
            for (const s of thread.sliceGroup.slices)
                add(process.name, thread.name, s.title, s.duration > 0 ? 'slices' : 'moments', s.duration);
    for (const key of [...rows.keys()].sort())
        console.log(`${key}|${rows.get(key).n}|${Math.round(rows.get(key).ms * 1e6)}`);
}

loadViewer(fs.readFileSync(process.argv[2], 'utf8'));
tell(read(fs.readFileSync(process.argv[3], 'utf8')));
