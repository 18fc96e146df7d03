/** How an attempt ended, from what was wanted to what was not; in the order of a stack. Colours that the colour-blind can tell apart. */
export const END_COLOURS = {
  good: '#12966e',
  degraded: '#e0a100',
  ticket: '#a371c9',
  refused: '#5b9bd5',
  late: '#e27a3f',
  cancelled: '#9aa0a6',
  failed: '#c0303a',
  wrong: '#7a1020',
} as const;

const GROUP_COLOURS = ['#c2410c', '#2f7bbf', '#12966e', '#a371c9', '#b58900', '#6b7280'];

/** A colour for the n-th group, or phase. */
export const colourOf = (index: number): string => GROUP_COLOURS[index % GROUP_COLOURS.length] as string;

export const INK = 'var(--ink)';

export const CSS = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1f23; --soft: #5c636b; --grid: #e3e6e9; --band: #f5f6f8; --odd: #eceff3; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --ink: #e6e8ea; --soft: #9aa2aa; --grid: #2b3036; --band: #191d21; --odd: #20262c; --bad: #ff8a80; }
}
body { background: var(--paper); color: var(--ink); font: 14px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1500px; padding: 24px; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 36px 0 4px; } h3 { font-size: 14px; margin: 14px 0 2px; }
p { margin: 4px 0; } .soft, small { color: var(--soft); } .void { border-left: 4px solid var(--bad); color: var(--bad); padding: 6px 12px; }
.columns { display: grid; gap: 8px 28px; grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); }
.rows { display: grid; gap: 4px 28px; grid-template-columns: repeat(auto-fill, minmax(min(var(--row), 100%), 1fr)); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 4px 0; }
td, th { padding: 2px 10px 2px 0; text-align: right; white-space: nowrap; } td:first-child, th:first-child { text-align: left; }
th { border-bottom: 1px solid var(--grid); color: var(--soft); font-weight: 500; }
svg { display: block; height: auto; width: 100%; } svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.grid { stroke: var(--grid); } .band { fill: var(--band); } .band.odd { fill: var(--odd); } .line { fill: none; stroke-width: 1.6; }
.hint { fill: transparent; } .hint:hover { fill: var(--ink); fill-opacity: 0.08; }
.legend { color: var(--soft); font-size: 12px; } .legend span { display: inline-block; margin-right: 14px; }
.legend i { border-radius: 2px; display: inline-block; height: 10px; margin-right: 5px; width: 10px; }
`;
