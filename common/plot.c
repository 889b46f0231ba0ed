#include "plot.h"

#include <math.h>

#include "common/html.h"

enum { WIDTH = 480, LEFT = 58, RIGHT = 12, TOP = 10, HEIGHT = 260, BOTTOM = 38, BAR = 20, LINE = 19, TICKS = 4 };

const char plot_style[] =
    "svg{display:block;width:100%;max-width:42rem;height:auto}svg text{font:13px system-ui,sans-serif;fill:#444}";

static void put_text(FILE *f, double x, double y, const char *anchor, const char *text)
{
    fprintf(f, "<text x='%.1f' y='%.1f' text-anchor='%s'>", x, y, anchor);
    html_put(f, text);
    fputs("</text>", f);
}

/* ---- bars ---- */

static double bar_length(const PlotBar *b, int parts)
{
    double sum = 0;
    for (int k = 0; k < parts; k++) sum += b->part[k].value;
    return sum;
}

/* Names of parts, as many in a row as fit. */
static void put_names(FILE *f, const PlotPart *part, int parts, int y)
{
    enum { EACH = 156 };
    for (int k = 0; k < parts; k++) {
        const int x = k % (WIDTH / EACH) * EACH, at = y + k / (WIDTH / EACH) * LINE;
        fprintf(f, "<rect x='%d' y='%d' width='10' height='10' fill='%s'/>", x, at - 9, part[k].color);
        put_text(f, x + 15, at, "start", part[k].name);
    }
}

void plot_bars(FILE *f, const PlotBar *bar, int bars, int parts, const char *unit)
{
    enum { EACH = LINE + BAR + 6, IN_A_ROW = 3 };
    const int rows = parts > 1 ? (parts + IN_A_ROW - 1) / IN_A_ROW : 0;
    double longest = 1e-12;
    for (int i = 0; i < bars; i++) longest = fmax(longest, fmax(bar_length(&bar[i], parts), bar[i].mark));
    fprintf(f, "<svg viewBox='0 0 %d %d' role='img'>", WIDTH, bars * EACH + rows * LINE + 8);
    for (int i = 0; i < bars; i++) {
        const double scale = (WIDTH - RIGHT) / longest;
        const int y = i * EACH + LINE;
        double x = 0;
        put_text(f, 0, y - 4, "start", bar[i].name);
        for (int k = 0; k < parts; k++) {
            const PlotPart *p = &bar[i].part[k];
            fprintf(f, "<rect x='%.1f' y='%d' width='%.1f' height='%d' fill='%s'><title>%s: %.4g %s</title></rect>", x,
                    y, p->value * scale, BAR, p->color, p->name, p->value, unit);
            x += p->value * scale;
        }
        if (bar[i].mark > 0)
            fprintf(f, "<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' stroke='#222' stroke-width='2'/>",
                    bar[i].mark * scale, bar[i].mark * scale, y - 2, y + BAR + 2);
    }
    if (rows) put_names(f, bar[0].part, parts, bars * EACH + LINE);
    fputs("</svg>\n", f);
}

/* ---- curves and points ---- */

static double share(const double range[2], bool logarithmic, double v)
{
    const double a = logarithmic ? log10(range[0]) : range[0], b = logarithmic ? log10(range[1]) : range[1];
    return b > a ? ((logarithmic ? log10(v) : v) - a) / (b - a) : 0;
}

static double place_x(const Plot *p, double x) { return LEFT + share(p->x, p->log_x, x) * (WIDTH - LEFT - RIGHT); }
static double place_y(const Plot *p, double y)
{
    return HEIGHT - BOTTOM - share(p->y, p->log_y, y) * (HEIGHT - BOTTOM - TOP);
}

static double tick_at(const double range[2], bool logarithmic, int i, int steps)
{
    if (!logarithmic) return range[0] + i * (range[1] - range[0]) / steps;
    return pow(10, log10(range[0]) + i * log10(range[1] / range[0]) / steps);
}

/* "1024", "0.15" */
static void put_tick(FILE *f, double x, double y, const char *anchor, double value)
{
    char text[32];
    snprintf(text, sizeof text, fabs(value) >= 1000 ? "%.0f" : "%.3g", value);
    put_text(f, x, y, anchor, text);
}

void plot_begin(const Plot *p)
{
    const int steps = p->x_steps ? p->x_steps : TICKS;
    fprintf(p->f, "<svg viewBox='0 0 %d %d' role='img'>", WIDTH, HEIGHT);
    for (int i = 0; i <= TICKS; i++) {
        const double y = tick_at(p->y, p->log_y, i, TICKS);
        fprintf(p->f, "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/>", LEFT, WIDTH - RIGHT, place_y(p, y),
                place_y(p, y));
        put_tick(p->f, LEFT - 6, place_y(p, y) + 4, "end", y);
    }
    for (int i = 0; i <= steps; i++) {
        const double x = tick_at(p->x, p->log_x, i, steps);
        put_tick(p->f, place_x(p, x), HEIGHT - BOTTOM + 15, i == 0 ? "start" : i == steps ? "end" : "middle", x);
    }
    put_text(p->f, LEFT + 6, TOP + 12, "start", p->y_name);
    put_text(p->f, WIDTH - RIGHT, HEIGHT - 6, "end", p->x_name);
}

void plot_curve(const Plot *p, const double *x, const double *y, int count, const char *color, bool dashed)
{
    fputs("<polyline fill='none' points='", p->f);
    for (int i = 0; i < count; i++) fprintf(p->f, "%.1f,%.1f ", place_x(p, x[i]), place_y(p, y[i]));
    fprintf(p->f, "' stroke='%s' stroke-width='2'%s/>", color, dashed ? " stroke-dasharray='6 4'" : "");
}

static void put_title(FILE *f, const char *name)
{
    fputs("<title>", f);
    html_put(f, name);
    fputs("</title>", f);
}

void plot_number(const Plot *p, double x, double y, int number, const char *color, const char *name)
{
    fprintf(p->f,
            "<g><circle cx='%.1f' cy='%.1f' r='8' fill='%s'/><text x='%.1f' y='%.1f' text-anchor='middle' "
            "style='fill:#fff'>%d</text>",
            place_x(p, x), place_y(p, y), color, place_x(p, x), place_y(p, y) + 4, number);
    put_title(p->f, name);
    fputs("</g>", p->f);
}

void plot_end(const Plot *p) { fputs("</svg>\n", p->f); }
