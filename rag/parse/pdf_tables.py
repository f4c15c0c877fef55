"""Tables of a page, found by ruling lines or by alignment, as rows of cell texts. Pure."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.parse.pdf_grid import Grid
from rag.parse.pdf_lines import Segment, is_rtl, join_words, segments_of, sideways_lines
from rag.parse.pdf_page import Box, Page, Word, bounds

_NUMERIC = re.compile(r"[-+(<≤≥~$€£]?[\d.,:/%±()\s-]*\d[\d.,:/%±()\s-]*[%)]?")
_BULLET = re.compile(r"(?:(?<=\s)|^)[•▪‣●■]\s+(?=\S)")
_MIN_FILL = 0.45
_LONG_CELL = 60
_LAYOUT_CELL = 600  # characters: a frame around text, not a cell


@dataclass(frozen=True, slots=True)
class Table:
    """A table's place and its cells; all rows have the same number of columns."""

    box: Box
    rows: tuple[tuple[str, ...], ...]


def rows_of(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Segments grouped by line, top to bottom, each line left to right."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: s.box.middle):
        if rows:
            near = min(rows[-1], key=lambda s: abs(s.box.x0 - segment.box.x0))
            slack = 0.45 * min(near.box.height, segment.box.height)
            if abs(near.box.middle - segment.box.middle) <= slack and not _shadows(
                rows[-1], segment
            ):
                rows[-1].append(segment)
                continue
        rows.append([segment])
    return [sorted(row, key=lambda s: s.box.x0) for row in rows]


def _shadows(row: list[Segment], segment: Segment) -> bool:
    """True when `segment` would stand on top of another one of the row."""
    return any(
        min(s.box.x1, segment.box.x1) - max(s.box.x0, segment.box.x0) > 0.5 * segment.box.width
        for s in row
    )


def column_spans(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    """The columns of a table as x intervals, from its segments; those that lie over several
    columns (headers that span) do not join them."""
    spans: list[tuple[float, float]] = []
    for segment in sorted(segments, key=lambda s: s.box.width):
        x0, x1 = segment.box.x0, segment.box.x1
        hit = [s for s in spans if s[0] < x1 - 0.5 and s[1] > x0 + 0.5]
        if len(hit) > 1:
            continue
        if hit:
            spans.remove(hit[0])
            x0, x1 = min(x0, hit[0][0]), max(x1, hit[0][1])
        spans.append((x0, x1))
    return sorted(spans)


def aligned_table(rows: Sequence[Sequence[Segment]]) -> Table | None:
    """The table that `rows` make by alignment alone, None when they do not look like one."""
    segments = [s for row in rows for s in row]
    spans = column_spans(segments)
    if len(spans) < 2 or len(rows) < 2:
        return None
    grid = [_place(row, spans) for row in rows]
    grid = _join_wrapped(grid, rows)
    if not _looks_tabular(grid):
        return None
    return Table(bounds([s.box for s in segments]), _in_reading_order(grid))


def _in_reading_order(grid: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    """The rows with the first column first: in Hebrew or Arabic that is the rightmost."""
    cells = [text for row in grid for text in row if text]
    if 2 * sum(map(is_rtl, cells)) > len(cells):
        return tuple(tuple(reversed(row)) for row in grid)
    return tuple(tuple(row) for row in grid)


def _place(row: Sequence[Segment], spans: Sequence[tuple[float, float]]) -> list[str]:
    cells = [""] * len(spans)
    for segment in row:
        shared = [min(x1, segment.box.x1) - max(x0, segment.box.x0) for x0, x1 in spans]
        hit = [i for i, width in enumerate(shared) if width > 0.5]
        index = hit[0] if hit else shared.index(max(shared))
        cells[index] = f"{cells[index]} {cell_text(segment.text)}".strip()
    return cells


def _join_wrapped(grid: list[list[str]], rows: Sequence[Sequence[Segment]]) -> list[list[str]]:
    """Lines that only continue the cells above them become part of those cells."""
    middles = [statistics.fmean(s.box.middle for s in row) for row in rows]
    gaps = [b - a for a, b in pairwise(middles)]
    tight = 1.25 * min(gaps, default=0.0)
    loose = max(gaps, default=0.0) > 1.2 * tight if gaps else False
    result = [list(grid[0])]
    for row, gap in zip(grid[1:], gaps, strict=True):
        if _continues(result[-1], row) and (not loose or gap <= tight) and len(result) > 1:
            for i, text in enumerate(row):
                result[-1][i] = f"{result[-1][i]} {text}".strip()
        else:
            result.append(list(row))
    return result


def _continues(above: list[str], row: list[str]) -> bool:
    filled = [i for i, text in enumerate(row) if text]
    if row[0] or not filled or len(filled) > (len(row) + 1) // 2:
        return False
    return all(above[i] and not _NUMERIC.fullmatch(row[i]) for i in filled)


def _looks_tabular(grid: list[list[str]]) -> bool:
    if len(grid) < 2:
        return False
    cells = [text for row in grid for text in row]
    filled = [text for text in cells if text]
    multi = sum(1 for row in grid if sum(map(bool, row)) >= 2)
    if len(filled) < _MIN_FILL * len(cells) or multi < max(2, 0.5 * len(grid)):
        return False
    return statistics.median(len(text) for text in filled) <= _LONG_CELL


def ruled_tables(page: Page, segments: list[Segment]) -> list[Table]:
    """The tables that ruling lines frame, outermost first, none inside another."""
    across, upright = page.across, page.upright
    if len(across) + len(upright) > 4000:
        return []  # a drawing, not a table
    words = [*page.words, *page.sideways]
    found: list[Table] = []
    frames = _frames(across, upright)
    for box, xs, ys in frames:
        if any(t.box.holds(box, 1.0) for t in found):
            continue
        inside = [w for w in words if box.holds(w.box, 1.0)]
        nested = [f[0] for f in frames if f[0] is not box and _lies_in(f[0], box)]
        grid = Grid(box, xs, ys, upright, across)
        table = _grid_table(grid, inside, nested) if len(xs) > 2 and len(ys) > 2 else None
        if table is None:
            held = [s for s in segments if box.holds(s.box, 1.0)]
            table = _framed(box, held, [] if xs else across)
        if table is not None:
            found.append(table)
    return found


def _framed(box: Box, held: list[Segment], across: Sequence[Box]) -> Table | None:
    rows = rows_of(held)
    start, end = _text_before(rows, across), _text_after(rows)
    whole = end - start == len(rows)
    rows = rows[start:end]
    if len(rows) < 2 or sum(len(row) > 1 for row in rows) < 0.4 * len(rows):
        return None
    table = aligned_table(rows)
    if table is None:
        return None
    return Table(box.joined(table.box) if whole else table.box, table.rows)


def _text_before(rows: list[list[Segment]], across: Sequence[Box]) -> int:
    """Where the rows of a table begin when a heading or text stands between its rules and the one
    of a running head: one rule above the text, three and more below it."""
    first = next((index for index, row in enumerate(rows) if len(row) > 1), 0)
    if first == 0:
        return 0
    above, below = rows[first - 1][0].box.middle, rows[first][0].box.middle
    heights = _distinct([rule.middle for rule in across])
    is_parted = any(above < height < below for height in heights)
    is_head = sum(height < above for height in heights) == 1
    return first if is_parted and is_head and sum(h > above for h in heights) >= 3 else 0


def _text_after(rows: list[list[Segment]]) -> int:
    """Where running text begins below the rows of a table, within rules that frame both."""
    for index, row in enumerate(rows):
        if index < 2 or len(row) > 1 or len(row[0].text) < _LONG_CELL:
            continue
        above = [s for r in rows[:index] if len(r) > 1 for s in r]
        if len(above) >= 4 and sum(row[0].box.x1 > s.box.x0 for s in above) == len(above):
            return index
    return len(rows)


def _lies_in(inner: Box, outer: Box) -> bool:
    smaller = inner.width * inner.height < 0.9 * outer.width * outer.height
    return smaller and outer.holds(inner) and inner.x0 >= outer.x0 and inner.x1 <= outer.x1


def _grid_table(lines: Grid, words: list[Word], nested: list[Box]) -> Table | None:
    """Cells by the lines of a full grid; each cell's words in reading order, those of a table
    inside a cell too."""
    box, xs, ys = lines.box, lines.xs, lines.ys
    cells: dict[tuple[int, int], list[Word]] = {}
    for word in words:
        cells.setdefault(lines.cell(word.box), []).append(word)
    grid = []
    for r in range(len(ys) - 1):
        grid += _split_row([cells.get((r, c), []) for c in range(len(xs) - 1)])
    grid = [row for row in grid if any(row)]
    kept = [c for c in range(len(xs) - 1) if any(row[c] for row in grid)]
    grid = [[row[c] for c in kept] for row in grid]
    if len(grid) < 2 or len(kept) < 2 or not _is_filled(grid):
        return None
    loose = [
        [w for w in cell if not any(n.holds(w.box) for n in nested)] for cell in cells.values()
    ]
    if any(map(_packed, loose)):
        return None
    return Table(box, _in_reading_order(grid))


def _split_row(cells: list[list[Word]]) -> list[list[str]]:
    """One row of a grid; several when its cells hold columns of figures, line by line."""
    lines = [_lines_of(cell) for cell in cells]
    stacked = [t for t in lines if len(t) > 1 and all(_NUMERIC.fullmatch(x) for x in t)]
    count = max((len(t) for t in stacked), default=1)
    if len(stacked) < 2 or any(len(t) not in (0, 1, count) for t in lines):
        return [[" ".join(t) for t in lines]]
    return [
        [t[i] if len(t) == count else (t[0] if t and i == 0 else "") for t in lines]
        for i in range(count)
    ]


def _lines_of(cell: list[Word]) -> list[str]:
    """The lines of one cell; words on their side make lines of their own."""
    flat = [word for word in cell if not word.turn]
    lines = [_line_text(row) for row in rows_of(segments_of(flat))] if flat else []
    return lines + sideways_lines([word for word in cell if word.turn])


def _line_text(row: list[Segment]) -> str:
    return cell_text(join_words([word for segment in row for word in segment.words]))


def cell_text(text: str) -> str:
    """A cell's text with its bullets as Markdown writes them."""
    return _BULLET.sub("- ", text)


def _packed(words: list[Word]) -> bool:
    """True when a cell holds a table of its own: three and more lines of aligned parts."""
    rows = rows_of(segments_of(words)) if len(words) > 8 else []
    return len(rows) >= 3 and sum(len(row) > 1 for row in rows) > 0.6 * len(rows)


def _is_filled(grid: list[list[str]]) -> bool:
    """True when enough cells say something and no single one says nearly all."""
    sizes = [len(text) for row in grid for text in row]
    if max(sizes) > _LAYOUT_CELL and max(sizes) > 0.5 * sum(sizes):
        return False
    several = sum(sum(map(bool, row)) >= 2 for row in grid)
    return sum(map(bool, sizes)) >= 0.25 * len(sizes) and several >= 0.3 * len(grid)


def _frames(
    across: Sequence[Box], upright: Sequence[Box]
) -> list[tuple[Box, list[float], list[float]]]:
    """Boxes that rules make, with the distinct x and y of their lines, largest first."""
    frames = []
    in_grids: set[Box] = set()
    for group in _touching([*across, *upright]):
        box = bounds(group)
        ys = _distinct([b.middle for b in group if b.width > b.height])
        xs = _distinct([(b.x0 + b.x1) / 2 for b in group if b.height >= b.width])
        ys = _distinct([*ys, box.y0, box.y1])
        xs = _distinct([*xs, box.x0, box.x1])
        if box.width > 40 and box.height > 12 and (len(xs) > 1 or len(ys) > 2):
            frames.append((box, xs, ys))
            if len(xs) > 2 and len(ys) > 2:
                in_grids.update(group)
    # the rules of a grid and one above it (a running head's) make no larger table
    frames += [(box, [], []) for box in _booktabs([r for r in across if r not in in_grids])]
    return sorted(frames, key=lambda f: -f[0].width * f[0].height)


def _touching(boxes: list[Box]) -> list[list[Box]]:
    """Groups of rules that touch each other, directly or through others."""
    groups: list[tuple[Box, list[Box]]] = []
    for box in sorted(set(boxes), key=lambda b: (b.y0, b.x0)):
        wide = Box(box.x0 - 2, box.y0 - 2, box.x1 + 2, box.y1 + 2)
        hit = [g for g in groups if any(_meet(wide, other) for other in g[1])] if groups else []
        merged = [box] + [b for g in hit for b in g[1]]
        groups = [g for g in groups if g not in hit]
        groups.append((bounds(merged), merged))
    return [group for _, group in groups if len(group) >= 3]


def _meet(a: Box, b: Box) -> bool:
    return a.x0 <= b.x1 and b.x0 <= a.x1 and a.y0 <= b.y1 and b.y0 <= a.y1


def _distinct(values: list[float]) -> list[float]:
    result: list[float] = []
    for value in sorted(values):
        if not result or value - result[-1] > 3.0:
            result.append(value)
    return result


def _booktabs(across: Sequence[Box]) -> list[Box]:
    """Stacks of three and more rules of one width: a table without upright lines."""
    stacks: list[list[Box]] = []
    for rule in sorted(across, key=lambda b: b.y0):
        for stack in stacks:
            same = abs(stack[0].x0 - rule.x0) < 5 and abs(stack[0].x1 - rule.x1) < 5
            if same and rule.y0 - stack[-1].y1 < 400:
                stack.append(rule)
                break
        else:
            stacks.append([rule])
    return [bounds(s) for s in stacks if len(_distinct([b.middle for b in s])) >= 3]
