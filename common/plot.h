/* plot.h - drawings for pages, SVG without scripts and without other files: stacked bars, and curves and points over two axes. They are as wide as the page,
 * and their texts can be read on a telephone. */
#ifndef REELWRIGHT_PLOT_H
#define REELWRIGHT_PLOT_H

#include <stdbool.h>
#include <stdio.h>

extern const char plot_style[]; /* for the page's style sheet */

typedef struct {
    const char *name, *color;
    double value;
} PlotPart;
typedef struct { /* one bar */
    const char *name;
    const PlotPart *part;
    double mark; /* a line across the bar at this value; 0: none */
} PlotBar;
/* Each bar has the same parts; their names below where there are several. unit: "s", in what a part's value is told when it is pointed at. */
void plot_bars(FILE *f, const PlotBar *bar, int bars, int parts, const char *unit);

typedef struct {
    FILE *f;
    double x[2], y[2]; /* what is shown; of a logarithmic axis above 0 */
    bool log_x, log_y;
    int x_steps; /* between its numbers; 0: four */
    const char *x_name, *y_name;
} Plot;
void plot_begin(const Plot *p); /* with grid and numbers */
void plot_curve(const Plot *p, const double *x, const double *y, int count, const char *color, bool dashed);
/* A point with a number in it. name: what the browser says of it when it is pointed at. */
void plot_number(const Plot *p, double x, double y, int number, const char *color, const char *name);
void plot_end(const Plot *p);

#endif
