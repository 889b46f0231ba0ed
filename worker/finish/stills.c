#include "stills.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>

#include "common/file.h"
#include "common/log.h"
#include "worker/finish/draw.h"
#include "worker/pictures/pixels.h"

enum {
    MAX_CELLS = 8,
    CELL_EDGE = 240,      /* longer edge of one frame on the sheet */
    THUMBNAIL_EDGE = 480, /* and of the thumbnail */
    GAP = 12,
    LABEL_PX = 13,
    LABEL_ROOM = 24
};
static const uint8_t paper[3] = {0x16, 0x18, 0x1d}; /* nearly black: frames of any brightness stand out from it */
static const char ink[] = "0xB9BEC9";

struct Stills {
    int frames, fps, came;
    int cells, columns;
    int cell_width, cell_height;
    Pixels *to_cell, *to_thumbnail;
    AVFrame *sheet, *thumbnail;
};

/* Which frame a cell shows: evenly from the first to the last. */
static int cell_frame(const Stills *p, int cell)
{
    return p->cells > 1 ? (int)((int64_t)cell * (p->frames - 1) / (p->cells - 1)) : 0;
}

static int cell_x(const Stills *p, int cell) { return GAP + cell % p->columns * (p->cell_width + GAP); }

static int cell_y(const Stills *p, int cell) { return GAP + cell / p->columns * (p->cell_height + LABEL_ROOM); }

Status stills_begin(int frames, int fps, Stills **out)
{
    if (frames < 1 || fps < 1) return status_fail(ERR_INPUT, "a clip of %d frames at %d per second", frames, fps);
    *out = memory_get(1, sizeof **out);
    **out = (Stills){.frames = frames, .fps = fps, .cells = frames < MAX_CELLS ? frames : MAX_CELLS};
    return status_ok();
}

void stills_free(Stills **p)
{
    if (!*p) return;
    pixels_close(&(*p)->to_cell);
    pixels_close(&(*p)->to_thumbnail);
    av_frame_free(&(*p)->sheet);
    av_frame_free(&(*p)->thumbnail);
    free(*p);
    *p = NULL;
}

static void fill_paper(AVFrame *f)
{
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) memcpy(f->data[0] + y * f->linesize[0] + 3 * x, paper, sizeof paper);
}

/* Upright clips stand in one row, wide ones in two. */
static Status lay_out(Stills *p, int height, int width)
{
    int thumbnail_width, thumbnail_height;
    p->columns = height >= width || p->cells < MAX_CELLS ? p->cells : p->cells / 2;
    pixels_fit(width, height, CELL_EDGE, CELL_EDGE, &p->cell_width, &p->cell_height);
    pixels_fit(width, height, THUMBNAIL_EDGE, THUMBNAIL_EDGE, &thumbnail_width, &thumbnail_height);
    TRY(pixels_open(width, height, p->cell_width, p->cell_height, AV_PIX_FMT_RGB24, &p->to_cell));
    TRY(pixels_open(width, height, thumbnail_width, thumbnail_height, AV_PIX_FMT_RGB24, &p->to_thumbnail));
    TRY(pixels_frame(thumbnail_width, thumbnail_height, AV_PIX_FMT_RGB24, &p->thumbnail));
    TRY(pixels_frame(cell_x(p, p->columns - 1) + p->cell_width + GAP,
                     cell_y(p, p->cells - 1) + p->cell_height + LABEL_ROOM, AV_PIX_FMT_RGB24, &p->sheet));
    fill_paper(p->sheet);
    return status_ok();
}

static Status put_one(Stills *p, const float *rgb)
{
    for (int i = 0; i < p->cells; i++)
        if (cell_frame(p, i) == p->came) TRY(pixels_convert(p->to_cell, rgb, p->sheet, cell_x(p, i), cell_y(p, i)));
    if (p->came == p->frames / 2) TRY(pixels_convert(p->to_thumbnail, rgb, p->thumbnail, 0, 0));
    p->came++;
    return status_ok();
}

Status stills_put(Stills *p, const float *frames, int n, int height, int width)
{
    if (!p->sheet) TRY(lay_out(p, height, width));
    for (int i = 0; i < n; i++) TRY(put_one(p, frames + (size_t)i * 3 * (size_t)height * (size_t)width));
    return status_ok();
}

/* Without a font the sheet has no labels: worth a warning, not a failed clip. */
static void label_cells(Stills *p)
{
    char text[MAX_CELLS][32], x[MAX_CELLS][48], y[MAX_CELLS][48];
    DrawText label[MAX_CELLS];
    for (int i = 0; i < p->cells; i++) {
        snprintf(text[i], sizeof text[i], "%.1f s", (double)cell_frame(p, i) / p->fps);
        snprintf(x[i], sizeof x[i], "%d+(%d-text_w)/2", cell_x(p, i), p->cell_width);
        snprintf(y[i], sizeof y[i], "%d+(%d-ascent)/2", cell_y(p, i) + p->cell_height, LABEL_ROOM);
        label[i] = (DrawText){.text = text[i], .x = x[i], .y = y[i], .size_px = LABEL_PX, .color = ink};
    }
    Draw *draw = NULL;
    p->sheet->pts = 0;
    Status status = draw_open(label, p->cells, p->sheet->width, p->sheet->height, AV_PIX_FMT_RGB24, 1, &draw);
    if (!failed(status)) status = draw_frame(draw, p->sheet);
    if (failed(status)) log_line(LOG_WARNING, "contact sheet without labels: %s", status.message);
    draw_close(&draw);
}

Status stills_write_png(const AVFrame *f, const char *path)
{
    const AVCodec *png = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *c = avcodec_alloc_context3(png);
    AVPacket *packet = av_packet_alloc();
    int code = png && c && packet ? 0 : AVERROR(ENOMEM);
    if (code == 0) {
        c->width = f->width;
        c->height = f->height;
        c->pix_fmt = AV_PIX_FMT_RGB24;
        c->time_base = (AVRational){1, 1};
        c->thread_count = 1;
        /* half the size of no prediction; the best of all five for each row, and a level more, are 3 % smaller in 2.6 times the time */
        av_opt_set(c->priv_data, "pred", "paeth", 0);
        c->compression_level = 5;
        code = avcodec_open2(c, png, NULL);
    }
    if (code >= 0) code = avcodec_send_frame(c, f);
    if (code >= 0) code = avcodec_receive_packet(c, packet);
    Status status = code < 0 ? status_fail(ERR_NODE, "%s: cannot make a PNG of %dx%d", path, f->width, f->height)
                             : file_replace(path, packet->data, (size_t)packet->size);
    av_packet_free(&packet);
    avcodec_free_context(&c);
    return status;
}

AVFrame *stills_thumbnail(Stills *p) { return p->came > p->frames / 2 ? p->thumbnail : NULL; }

Status stills_draw_cells(Stills *p, StillsDraw *draw, void *self)
{
    AVFrame *view = av_frame_alloc();
    Status status = view ? status_ok() : status_fail(ERR_NODE, "out of memory for a frame");
    for (int i = 0; p->sheet && i < p->cells && !failed(status); i++) {
        view->format = AV_PIX_FMT_RGB24;
        view->width = p->cell_width;
        view->height = p->cell_height;
        view->linesize[0] = p->sheet->linesize[0];
        view->data[0] = p->sheet->data[0] + (ptrdiff_t)cell_y(p, i) * p->sheet->linesize[0] + 3 * cell_x(p, i);
        status = draw(self, view);
    }
    av_frame_free(&view);
    return status;
}

Status stills_write(Stills *p, const char *thumbnail, const char *sheet)
{
    if (p->came < p->frames)
        return status_fail(ERR_CLIP, "%s: %d frames came, expected %d", thumbnail, p->came, p->frames);
    label_cells(p);
    TRY(stills_write_png(p->thumbnail, thumbnail));
    return stills_write_png(p->sheet, sheet);
}
