"""Anti-aliased drawing with signed distances, just enough for postcards.

Units: x runs 0..1 over the width, y runs downwards in the same unit, so a portrait picture ends at y = height / width.
A distance is negative inside a shape; half a pixel on either side of zero becomes soft coverage.
"""
import numpy as np


class Canvas:
    def __init__(self, width, height):
        self.px = width
        self.x, self.y = np.meshgrid((np.arange(width, dtype=np.float32) + 0.5) / width,
                                     (np.arange(height, dtype=np.float32) + 0.5) / width)
        self.rgb = np.zeros((height, width, 3), np.float32)

    def window(self, x0, y0, x1, y1):
        """A view of the part that covers this box: painting there costs only its pixels."""
        h, w = self.x.shape
        cols = slice(max(0, int(x0 * self.px) - 1), max(0, min(w, int(x1 * self.px) + 2)))
        rows = slice(max(0, int(y0 * self.px) - 1), max(0, min(h, int(y1 * self.px) + 2)))
        part = Canvas.__new__(Canvas)
        part.px, part.x, part.y, part.rgb = self.px, self.x[rows, cols], self.y[rows, cols], self.rgb[rows, cols]
        return part

    def copy(self):
        other = Canvas.__new__(Canvas)
        other.px, other.x, other.y, other.rgb = self.px, self.x, self.y, self.rgb.copy()
        return other

    def blend(self, alpha, colour):
        colour = np.asarray(colour, np.float32)
        if self.rgb.shape[-1] == 4:   # premultiplied colours and coverage
            colour = np.append(colour, np.float32(1))
        self.rgb += (colour - self.rgb) * alpha[..., None]

    def fill(self, distance, colour, alpha=1.0):
        self.blend(np.clip(0.5 - distance * self.px, 0, 1) * alpha, colour)

    def ellipse(self, cx, cy, rx, ry, colour, alpha=1.0):
        self.fill(ellipse(self.x, self.y, cx, cy, rx, ry), colour, alpha)

    def box(self, x0, y0, x1, y1, colour, round=0.0, alpha=1.0):
        self.fill(box(self.x, self.y, x0, y0, x1, y1, round), colour, alpha)

    def polygon(self, points, colour, alpha=1.0):
        self.fill(polygon(self.x, self.y, points), colour, alpha)

    def glow(self, cx, cy, radius, colour, alpha):
        """A soft round light that fades with the square of the distance."""
        r = np.hypot(self.x - cx, self.y - cy) / radius
        self.blend(alpha / (1 + 4 * r * r), colour)

    def shadow(self, cx, cy, rx, ry, alpha):
        r2 = ((self.x - cx) / rx) ** 2 + ((self.y - cy) / ry) ** 2
        self.blend(alpha * np.clip(1.2 - r2, 0, 1), (0.05, 0.05, 0.08))


def ellipse(x, y, cx, cy, rx, ry):
    return (np.hypot((x - cx) / rx, (y - cy) / ry) - 1) * min(rx, ry)


def box(x, y, x0, y0, x1, y1, round=0.0):
    dx = np.abs(x - (x0 + x1) / 2) - (x1 - x0) / 2 + round
    dy = np.abs(y - (y0 + y1) / 2) - (y1 - y0) / 2 + round
    return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - round


def polygon(x, y, points):
    """A convex polygon, its points clockwise on the screen."""
    d = None
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1]):
        ex, ey = bx - ax, by - ay
        side = ((x - ax) * -ey + (y - ay) * ex) / -np.hypot(ex, ey)
        d = side if d is None else np.maximum(d, side)
    return d
