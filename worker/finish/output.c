#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/gates.h"
#include "worker/finish/canvas.h"
#include "worker/finish/codes.h"
#include "worker/finish/encode.h"
#include "worker/finish/gif.h"
#include "worker/finish/label.h"
#include "worker/finish/overlay.h"
#include "worker/finish/poster.h"
#include "worker/finish/profile.h"
#include "worker/gate/film.h"
#include "worker/pictures/pixels.h"

enum { GIF_MAX_FRAMES = 400 };

struct Output {
    OutputOrder order;
    Rendition r; /* with its size, and no field empty */
    char *path, *metadata;
    int fps;
    Overlay *overlay;
    Label *label;
    Encode *encode; /* kind video */
    Canvas *canvas; /* the others */
    AVFrame *frame;
    AVFrame **kept; /* gif */
    int kept_count;
    int64_t count; /* frames at the output's rate */
    const Track *track;
    float *last; /* to hold, NULL: nothing is held */
    int put;     /* frames of the shot so far */
};

static bool is_kind(const Output *o, const char *kind) { return strcmp(o->r.kind, kind) == 0; }

/* A GIF's few frames are those that are there. */
const char *output_convert(const Rendition *r)
{
    return strcmp(r->kind, "gif") == 0 ? "repeat" : *r->convert ? r->convert : "motion";
}

/* ---- beginning ----------------------------------------------------------------------------------------------------------- */

static void set_defaults(const OutputOrder *order, Rendition *r)
{
    *r = *order->rendition;
    if (!r->width) r->width = order->width, r->height = order->height;
    if (!*r->kind) snprintf(r->kind, sizeof r->kind, "video");
    if (!*r->codec) snprintf(r->codec, sizeof r->codec, "h264");
    if (!*r->fit) snprintf(r->fit, sizeof r->fit, "pad");
    if (!*r->color) snprintf(r->color, sizeof r->color, "#000000");
    if (!*r->convert) snprintf(r->convert, sizeof r->convert, "motion");
}

static Box safe_area(const Rendition *r)
{
    int left = (int)(r->width * r->safe_left / 100), top = (int)(r->height * r->safe_top / 100);
    return (Box){left, top, r->width - left - (int)(r->width * r->safe_right / 100),
                 r->height - top - (int)(r->height * r->safe_bottom / 100)};
}

static Status open_layers(Output *o)
{
    const Extras *e = o->order.extras;
    OverlayFrame f = {.width = o->r.width,
                      .height = o->r.height,
                      .safe = safe_area(&o->r),
                      .fps = o->fps,
                      .duration_s = e->duration_s};
    TRY(label_open(e->label, o->r.width, o->r.height, f.safe, &o->label));
    f.label = label_box(o->label);
    return overlay_open(e->overlays, &f, &o->overlay);
}

static void judge_overlays(Output *o, const AVFrame *frame, int64_t number)
{
    const double at_s = (double)number / o->fps;
    const double contrast = overlay_contrast(o->overlay, frame, number);
    if (!isnan(contrast)) prove_tell(o->order.prove, GATE_legibility, contrast, at_s);
}

static Status paint(void *self, AVFrame *frame, int64_t number)
{
    Output *o = self;
    TRY(overlay_draw(o->overlay, frame, number));
    TRY(label_draw(o->label, frame, (double)number / o->fps));
    if (prove_measures(o->order.prove)) judge_overlays(o, frame, number);
    const ProvePicture p = {o->order.number, frame->data, frame->linesize, frame->width, frame->height, o->fps};
    return prove_picture(o->order.prove, &p);
}

static uint32_t color_of(const Rendition *r)
{
    uint32_t color = 255;
    return overlay_color(r->color, &color) ? color : 255;
}

static Status open_video(Output *o)
{
    const Extras *e = o->order.extras;
    EncodeOptions options = {.width = o->r.width,
                             .height = o->r.height,
                             .fps = o->fps,
                             .crf = o->r.crf,
                             .preset = o->r.preset,
                             .max_kbps = o->r.max_kbps,
                             .codec = o->r.codec,
                             .fit = o->r.fit,
                             .color = color_of(&o->r),
                             .paint = paint,
                             .self = o};
    TRY(extras_track(o->order.extras, &o->r, &o->track));
    options.extras = (MuxExtras){.sound = o->track,
                                 .subtitles = e->is_track && e->subtitles.count ? &e->subtitles : NULL,
                                 .language = e->language};
    o->metadata = e->label ? label_metadata(e->label, o->order.producer, o->order.clip_id) : NULL;
    if (o->metadata) options.extras.meta_key = "AIGC", options.extras.meta_value = o->metadata;
    return encode_begin(o->path, &options, &o->encode);
}

static Status open_all(Output *o)
{
    TRY(open_layers(o));
    if (is_kind(o, "video")) TRY(open_video(o));
    if (o->order.extras->hold_s > 0) {
        o->last = malloc((size_t)o->order.width * (size_t)o->order.height * 3 * sizeof *o->last);
        if (!o->last) return status_fail(ERR_NODE, "out of memory for a frame");
    }
    return status_ok();
}

Status output_begin(const char *path, const OutputOrder *order, Output **out)
{
    Output *o = *out = memory_get(1, sizeof *o);
    o->order = *order;
    o->path = text_copy(path);
    o->fps = finish_spec_fps(order->rendition, order->fps);
    set_defaults(order, &o->r);
    Status status = open_all(o);
    if (failed(status)) output_abandon(out);
    return failed(status) ? status_at(status, "%s", order->rendition->name) : status;
}

void output_abandon(Output **output)
{
    Output *o = *output;
    if (!o) return;
    encode_abandon(&o->encode);
    overlay_close(&o->overlay);
    label_close(&o->label);
    canvas_close(&o->canvas);
    av_frame_free(&o->frame);
    for (int i = 0; i < o->kept_count; i++) av_frame_free(&o->kept[i]);
    free(o->kept);
    free(o->last);
    free(o->metadata);
    free(o->path);
    free(o);
    *output = NULL;
}

/* ---- frames -------------------------------------------------------------------------------------------------------------- */

static int64_t frames_in_all(const Output *o) { return llrint(o->order.extras->duration_s * o->fps); }

/* The picture as it is shown in a still: with all that is laid over the clip at any time. */
static Status draw_still(Output *o, const float *rgb, int height, int width, bool all)
{
    CanvasOptions options = {o->r.width, o->r.height, o->r.fit, color_of(&o->r)};
    if (!o->canvas) TRY(canvas_open(width, height, &options, AV_PIX_FMT_RGB24, &o->canvas));
    av_frame_free(&o->frame);
    TRY(pixels_frame(o->r.width, o->r.height, AV_PIX_FMT_RGB24, &o->frame));
    TRY(canvas_draw(o->canvas, rgb, o->frame));
    TRY(all ? overlay_draw_all(o->overlay, o->frame) : overlay_draw(o->overlay, o->frame, o->count));
    TRY(label_draw(o->label, o->frame, all ? 0 : (double)o->count / o->fps));
    prove_still(o->order.prove, o->order.number, o->frame->data[0], o->frame->linesize[0], o->r.width, o->r.height);
    return status_ok();
}

static Status keep_frame(Output *o)
{
    o->kept = memory_resize(o->kept, (size_t)o->kept_count + 1, sizeof(AVFrame *));
    o->kept[o->kept_count++] = o->frame;
    o->frame = NULL;
    return status_ok();
}

static Status take(Output *o, const float *rgb, int height, int width)
{
    Status status = status_ok();
    if (is_kind(o, "video"))
        status = encode_put(o->encode, rgb, 1, height, width);
    else if (is_kind(o, "poster") && o->count == frames_in_all(o) / 2)
        status = draw_still(o, rgb, height, width, true);
    else if (is_kind(o, "gif") && o->kept_count < GIF_MAX_FRAMES) {
        status = draw_still(o, rgb, height, width, o->count == 0);
        if (!failed(status)) status = keep_frame(o);
    }
    o->count++;
    return status;
}

Status output_put(Output *o, const float *frames, int n, int height, int width)
{
    const size_t size = (size_t)height * (size_t)width * 3;
    for (int i = 0; i < n; i++) TRY(take(o, frames + (size_t)i * size, height, width));
    o->put += n;
    if (o->last && n) memcpy(o->last, frames + (size_t)(n - 1) * size, size * sizeof *o->last);
    return status_ok();
}

/* ---- the end --------------------------------------------------------------------------------------------------------------- */

static Status hold_last(Output *o)
{
    for (int64_t most = frames_in_all(o); o->last && o->put && o->count < most;)
        TRY(take(o, o->last, o->order.height, o->order.width));
    return status_ok();
}

static Status judge_label(void *self, const FilmPicture *p)
{
    const Output *o = self;
    const Grey grey = {p->plane[0], p->stride[0], p->width, p->height};
    prove_tell(o->order.prove, GATE_label, label_seen(o->label, &grey), p->at_s);
    return status_fail(ERR_STOP, "one picture is enough");
}

/* In the first picture of the file that was made. */
static Status look_for_label(Output *o)
{
    FilmInfo info;
    if (!o->label || !prove_measures(o->order.prove)) return status_ok();
    Status status = film_read(o->path, (FilmSink){o, judge_label, NULL}, &info);
    return status.err == ERR_STOP ? status_ok() : status;
}

/* duration_s 0: a poster or a GIF, as whoever gets it sees it first, with every code in it. */
static Status look_for_codes(const Output *o, double duration_s, json_t *report)
{
    CodesRead codes;
    TRY(codes_read(o->path, o->order.extras->overlays, duration_s, &codes));
    if (codes.count) prove_tell(o->order.prove, GATE_qr, codes.unread, codes.at_s);
    if (codes.unread) json_object_set_new(report, "unread", json_sprintf("overlays[%zu].qr", codes.overlay));
    return status_ok();
}

static Status finish_video(Output *o, json_t *report)
{
    const Extras *e = o->order.extras;
    ProfileWish wish = {.fps = o->fps,
                        .frames = o->count,
                        .sound = o->track != NULL,
                        .subtitles = e->is_track && e->subtitles.count > 0};
    TRY(encode_end(&o->encode));
    TRY(profile_check(o->path, &o->r, &wish));
    TRY(look_for_codes(o, e->duration_s, report));
    TRY(look_for_label(o));
    if (o->track && isfinite(o->track->loudness.lufs)) {
        json_object_set_new(report, "lufs", json_real(o->track->loudness.lufs));
        json_object_set_new(report, "true_peak_db", json_real(o->track->loudness.true_peak_db));
    }
    return status_ok();
}

static Status finish_gif(Output *o)
{
    int64_t bytes;
    if (o->kept_count == 0) return status_fail(ERR_CLIP, "%s: no frame was given", o->path);
    return gif_write(o->path, o->kept, o->kept_count, o->fps, (int64_t)(o->r.max_mb * 1e6), &bytes);
}

static Status finish_all(Output *o, json_t *report)
{
    TRY(hold_last(o));
    if (is_kind(o, "video")) TRY(finish_video(o, report));
    if (is_kind(o, "gif")) TRY(finish_gif(o));
    if (is_kind(o, "poster"))
        TRY(o->frame ? poster_write(o->path, o->frame)
                     : status_fail(ERR_CLIP, "%s: fewer frames came than the clip has", o->path));
    if (!is_kind(o, "video")) {
        TRY(profile_check_still(o->path, &o->r));
        TRY(look_for_codes(o, 0, report));
    }
    json_object_set_new(report, "fps", json_integer(o->fps));
    json_object_set_new(report, "duration_s", json_real(is_kind(o, "poster") ? 0 : (double)o->count / o->fps));
    return status_ok();
}

Status output_end(Output **output, json_t **report)
{
    Output *o = *output;
    *report = json_object();
    Status status = finish_all(o, *report);
    if (failed(status)) {
        json_decref(*report);
        *report = NULL;
        unlink((*output)->path);
        status = status_at(status, "%s", o->order.rendition->name);
    }
    output_abandon(output);
    return status;
}
