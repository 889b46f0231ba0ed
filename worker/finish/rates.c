#include "rates.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/finish/kept.h"
#include "worker/finish/rate.h"

typedef struct {
    const char *how;
    int fps;
    Rate *rate; /* NULL: as they come */
    const float *as_they_come;
    float *frame;
    int count, room;
    size_t size;      /* of one frame, in floats */
    const Kept *from; /* the frames are there already; NULL: they are made */
    Kept *to;         /* they are kept for the next clip; NULL: they are not */
    int64_t fed, given;
} Conversion;

struct Rates {
    int count, shot_fps;
    Conversion conversion[MAX_RENDITIONS];
    int of[MAX_RENDITIONS]; /* conversion of each rendition, -1: none */
};

static Status make_room(Conversion *c, int height, int width)
{
    c->size = (size_t)height * (size_t)width * 3;
    if (c->count == c->room) {
        c->room = 2 * c->room + 4;
        float *more = realloc(c->frame, (size_t)c->room * c->size * sizeof *more);
        if (!more) return status_fail(ERR_NODE, "out of memory for %d frames of %dx%d", c->room, width, height);
        c->frame = more;
    }
    return status_ok();
}

static Status gather(void *self, const float *rgb, int height, int width)
{
    Conversion *c = self;
    TRY(make_room(c, height, width));
    if (c->to) kept_add(c->to, rgb, (int64_t)c->size);
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

/* Of the rates that are moved, one: most campaigns have one. */
static void keep(Rates *rates, const char *source)
{
    for (int i = 0; source && i < rates->count; i++) {
        Conversion *c = &rates->conversion[i];
        if (!c->rate || strcmp(c->how, "motion") != 0) continue;
        char *key = text_format("%s %d %d", source, rates->shot_fps, c->fps);
        c->from = kept_find(key);
        if (!c->from) c->to = kept_begin(key);
        free(key);
        return;
    }
}

Status rates_open(const Rendition *r, const bool *skip, int count, int shot_fps, const char *source, Rates **out)
{
    Rates *rates = *out = memory_get(1, sizeof *rates);
    rates->shot_fps = shot_fps;
    Status status = status_ok();
    for (int i = 0; i < count && !failed(status); i++) {
        rates->of[i] = -1;
        if (!skip[i]) status = find(rates, &r[i], shot_fps, &rates->of[i]);
    }
    if (failed(status))
        rates_close(out);
    else
        keep(rates, source);
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

/* As many as last as long as what was given so far; at the end the rest. */
static Status read_kept(const Rates *rates, Conversion *c, int n, int height, int width)
{
    c->fed += n;
    int64_t until = n ? rate_count(c->fed, rates->shot_fps, c->fps) : kept_count(c->from);
    if (until > kept_count(c->from)) until = kept_count(c->from);
    for (; c->given < until; c->given++) {
        TRY(make_room(c, height, width));
        if (!kept_read(c->from, c->given, c->frame + (size_t)c->count * c->size, (int64_t)c->size))
            return status_fail(ERR_FATAL, "frames of another size were kept of the same file");
        c->count++;
    }
    return status_ok();
}

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
    if (c->from) return read_kept(rates, c, n, height, width);
    for (int i = 0; i < n; i++) TRY(rate_put(c->rate, frames + (size_t)i * size, height, width));
    if (n) return status_ok();
    TRY(rate_end(c->rate));
    if (c->to) kept_end(c->to);
    return status_ok();
}

const float *rates_frames(const Rates *rates, int rendition, int *n)
{
    const Conversion *c = &rates->conversion[rates->of[rendition]];
    *n = c->count;
    return c->rate ? c->frame : c->as_they_come;
}
