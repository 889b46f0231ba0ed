#include "still_layers.h"

#include "worker/finish/label.h"
#include "worker/finish/overlay.h"

/* So small a picture may have no room for a campaign's own words: the icon says it then, and in a sliver of a picture nothing does. */
static Status open_small(const json_t *spec, int width, int height, Box safe, Label **out)
{
    Status status = label_open(spec, width, height, safe, out);
    if (status.err != ERR_CLIP) return status;
    json_t *icon = json_pack("{s:s}", "profile", "eu");
    status = label_open(icon, width, height, safe, out);
    json_decref(icon);
    return status.err == ERR_CLIP ? status_ok() : status;
}

static Status draw_thumbnail(AVFrame *t, const Extras *e)
{
    Label *label = NULL;
    Overlay *overlay = NULL;
    const Box safe = {t->width / 20, t->height / 20, t->width - t->width / 10, t->height - t->height / 10};
    OverlayFrame frame = {.width = t->width, .height = t->height, .safe = safe, .fps = 1, .duration_s = e->duration_s};
    Status status = open_small(e->label, t->width, t->height, safe, &label);
    frame.label = label_box(label);
    if (!failed(status) && !failed(overlay_open(e->overlays, &frame, &overlay))) status = overlay_draw_all(overlay, t);
    if (!failed(status)) status = label_draw(label, t, 0);
    overlay_close(&overlay);
    label_close(&label);
    return status;
}

typedef struct {
    const json_t *spec;
    Label *label; /* of the first cell's size, which is that of all */
    bool is_open;
} Cells;

static Status label_cell(void *self, AVFrame *cell)
{
    Cells *c = self;
    const Box all = {0, 0, cell->width, cell->height};
    if (!c->is_open) TRY(open_small(c->spec, cell->width, cell->height, all, &c->label));
    c->is_open = true;
    return label_draw(c->label, cell, 0);
}

Status still_layers_draw(Stills *stills, const Extras *e)
{
    Cells cells = {.spec = e->label};
    AVFrame *thumbnail = stills_thumbnail(stills);
    Status status = thumbnail ? draw_thumbnail(thumbnail, e) : status_ok();
    if (!failed(status)) status = stills_draw_cells(stills, label_cell, &cells);
    label_close(&cells.label);
    return status;
}
