#include "rates.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/finish/rate.h"

typedef struct {
    const char *how;
    int fps;
    Rate *rate; /* NULL: as they come */
    const float *as_they_come;
    float *frame;
    int count, room;
    size_t size; /* of one frame, in floats */
} Conversion;

struct Rates {
    int count;
    Conversion conversion[MAX_RENDITIONS];
    int of[MAX_RENDITIONS]; /* conversion of each rendition, -1: none */
};

static Status gather(void *self, const float *rgb, int height, int width)
{
    Conversion *c = self;
    c->size = (size_t)height * (size_t)width * 3;
    if (c->count == c->room) {
        c->room = 2 * c->room + 4;
        float *more = realloc(c->frame, (size_t)c->room * c->size * sizeof *more);
        if (!more) return status_fail(ERR_NODE, "out of memory for %d frames of %dx%d", c->room, width, height);
        c->frame = more;
    }
    memcpy(c->frame + (size_t)c->count++ * c->size, rgb, c->size * sizeof *rgb);
    return status_ok();
}

static Status find(Rates *rates, const Rendition *r, int shot_fps, int *found)
{
    const char *how = output_convert(r);
    int fps = finish_spec_fps(r, shot_fps);
    for (*found = 0; *found < rates->count; ++*found)
        if (rates->conversion[*found].fps == fps &&
            (fps == shot_fps || strcmp(rates->conversion[*found].how, how) == 0))
            return status_ok();
    Conversion *c = &rates->conversion[rates->count++];
    *c = (Conversion){.how = how, .fps = fps};
    return fps == shot_fps ? status_ok() : rate_open(how, shot_fps, fps, gather, c, &c->rate);
}

Status rates_open(const Rendition *r, const bool *skip, int count, int shot_fps, Rates **out)
{
    Rates *rates = *out = memory_get(1, sizeof *rates);
    Status status = status_ok();
    for (int i = 0; i < count && !failed(status); i++) {
        rates->of[i] = -1;
        if (!skip[i]) status = find(rates, &r[i], shot_fps, &rates->of[i]);
    }
    if (failed(status)) rates_close(out);
    return status;
}

void rates_close(Rates **rates)
{
    if (!*rates) return;
    for (int i = 0; i < (*rates)->count; i++) {
        rate_close(&(*rates)->conversion[i].rate);
        free((*rates)->conversion[i].frame);
    }
    free(*rates);
    *rates = NULL;
}

int rates_count(const Rates *rates) { return rates->count; }

Status rates_convert(Rates *rates, int number, const float *frames, int n, int height, int width)
{
    Conversion *c = &rates->conversion[number];
    const size_t size = (size_t)height * (size_t)width * 3;
    c->count = 0;
    if (!c->rate) {
        c->as_they_come = frames;
        c->count = n;
        return status_ok();
    }
    for (int i = 0; i < n; i++) TRY(rate_put(c->rate, frames + (size_t)i * size, height, width));
    return n ? status_ok() : rate_end(c->rate);
}

const float *rates_frames(const Rates *rates, int rendition, int *n)
{
    const Conversion *c = &rates->conversion[rates->of[rendition]];
    *n = c->count;
    return c->rate ? c->frame : c->as_they_come;
}
