#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <jansson.h>

#include "common/bytes.h"
#include "common/file.h"
#include "common/shot_file.h"
#include "coordinator/campaign/faults.h"
#include "coordinator/campaign/probe_cut.h"

enum { HEAD_BYTES = 64, MAX_SEGMENTS = 1000, MAX_BOXES = 10000, MAX_DEPTH = 6 };

typedef struct {
    FILE *file;
    int64_t bytes; /* of the file */
    uint8_t head[HEAD_BYTES];
    size_t got; /* of head */
} Open;

static uint32_t be16(const uint8_t *p) { return (uint32_t)bytes_be(p, 2); }
static uint32_t be32(const uint8_t *p) { return (uint32_t)bytes_be(p, 4); }
static uint32_t le16(const uint8_t *p) { return (uint32_t)bytes_le(p, 2); }
static uint32_t le24(const uint8_t *p) { return (uint32_t)bytes_le(p, 3); }
static uint32_t le32(const uint8_t *p) { return (uint32_t)bytes_le(p, 4); }

static bool read_at(const Open *o, int64_t at, void *to, size_t bytes)
{
    return at >= 0 && at <= o->bytes - (int64_t)bytes && fseeko(o->file, at, SEEK_SET) == 0 &&
           fread(to, bytes, 1, o->file) == 1;
}

/* ---- sizes ---- */

static void size_of_png(Open *o, Probe *out)
{
    out->width = (int)(be32(o->head + 16) & INT32_MAX);
    out->height = (int)(be32(o->head + 20) & INT32_MAX);
}

/* The frame header (SOF) stands behind any number of other segments; cameras put previews before it. */
static void size_of_jpeg(Open *o, Probe *out)
{
    uint8_t b[9];
    int64_t at = 2;
    for (int i = 0; i < MAX_SEGMENTS && read_at(o, at, b, 4); i++) {
        bool frame = b[1] >= 0xc0 && b[1] <= 0xcf && b[1] != 0xc4 && b[1] != 0xc8 && b[1] != 0xcc;
        if (b[0] != 0xff || b[1] == 0xd9 || b[1] == 0xda) return;
        if (b[1] == 0xff) { /* padding */
            at++;
            continue;
        }
        if (frame && read_at(o, at, b, 9)) {
            out->height = (int)be16(b + 5);
            out->width = (int)be16(b + 7);
            return;
        }
        at += 2 + (int64_t)be16(b + 2);
    }
}

static void size_of_webp(Open *o, Probe *out)
{
    const uint8_t *h = o->head;
    if (memcmp(h + 12, "VP8X", 4) == 0) {
        out->width = (int)le24(h + 24) + 1;
        out->height = (int)le24(h + 27) + 1;
    } else if (memcmp(h + 12, "VP8L", 4) == 0) {
        out->width = (int)(le32(h + 21) & 0x3fff) + 1;
        out->height = (int)(le32(h + 21) >> 14 & 0x3fff) + 1;
    } else if (memcmp(h + 12, "VP8 ", 4) == 0) {
        out->width = (int)(le16(h + 26) & 0x3fff);
        out->height = (int)(le16(h + 28) & 0x3fff);
    }
}

/* ---- frames of an MP4 file: the number of samples of its track whose handler is "vide" ---- */

typedef struct {
    bool video;
    int64_t samples;
} Track;

static void walk_boxes(const Open *o, int64_t from, int64_t to, int depth, int *left, Track *track, Probe *out)
{
    static const char *const holder[] = {"moov", "trak", "mdia", "minf", "stbl"};
    uint8_t b[20];
    while (from <= to - 8 && (*left)-- > 0 && read_at(o, from, b, 8)) {
        int64_t size = be32(b), head = 8;
        if (size == 1 && read_at(o, from, b, 16)) {
            size = (int64_t)(bytes_be(b + 8, 8) & INT64_MAX);
            head = 16;
        }
        if (size == 0) size = to - from;
        if (size < head || size > to - from) return;
        bool inside = false;
        for (size_t i = 0; i < sizeof holder / sizeof *holder; i++) inside = inside || memcmp(b + 4, holder[i], 4) == 0;
        bool is_track = memcmp(b + 4, "trak", 4) == 0;
        if (inside && depth < MAX_DEPTH) {
            if (is_track) *track = (Track){0};
            walk_boxes(o, from + head, from + size, depth + 1, left, track, out);
            if (is_track && track->video && !out->frames) out->frames = track->samples;
        } else if (memcmp(b + 4, "hdlr", 4) == 0 && read_at(o, from + head, b, 12)) {
            track->video = track->video || memcmp(b + 8, "vide", 4) == 0;
        } else if (memcmp(b + 4, "stsz", 4) == 0 && read_at(o, from + head, b, 12)) {
            track->samples = be32(b + 8);
        }
        from += size;
    }
}

static void frames_of_mp4(Open *o, Probe *out)
{
    Track track = {0};
    int left = MAX_BOXES;
    walk_boxes(o, 0, o->bytes, 0, &left, &track, out);
}

/* ---- kinds ---- */

typedef struct {
    const char *format;
    size_t at;
    const char *mark; /* bytes at that place */
    size_t bytes;
    bool video, read; /* read: by the workers (worker/pictures/image.h) */
    void (*look)(Open *o, Probe *out);
    ProbeIsCut *is_cut; /* of what is read */
} Kind;

/* The first that fits; brands of pictures come before the "ftyp" that any MP4 file has. */
static const Kind kind[] = {
    {"PNG", 0, "\x89PNG\r\n\x1a\n", 8, false, true, size_of_png, probe_png_is_cut},
    {"JPEG", 0, "\xff\xd8\xff", 3, false, true, size_of_jpeg, probe_jpeg_is_cut},
    {"WebP", 8, "WEBP", 4, false, true, size_of_webp, probe_riff_is_cut},
    {"an AVI video", 8, "AVI ", 4, true, true, NULL, probe_riff_is_cut},
    {"a WAV sound", 8, "WAVE", 4, false, false, NULL, NULL},
    {"GIF", 0, "GIF8", 4, false, true, NULL, probe_gif_is_cut},
    {"BMP", 0, "BM", 2, false, true, NULL, probe_bmp_is_cut},
    {"TIFF", 0, "II*\0", 4, false, true, NULL, probe_tiff_is_cut},
    {"TIFF", 0, "MM\0*", 4, false, true, NULL, probe_tiff_is_cut},
    {"HEIC", 4, "ftyphei", 7, false, true, NULL, probe_boxes_are_cut},
    {"HEIC", 4, "ftyphev", 7, false, true, NULL, probe_boxes_are_cut},
    {"HEIC", 4, "ftypmif1", 8, false, true, NULL, probe_boxes_are_cut},
    {"HEIC", 4, "ftypmsf1", 8, false, true, NULL, probe_boxes_are_cut},
    {"AVIF", 4, "ftypavi", 7, false, true, NULL, probe_boxes_are_cut},
    {"JPEG XL", 4, "JXL ", 4, false, false, NULL, NULL},
    {"a Photoshop file", 0, "8BPS", 4, false, false, NULL, NULL},
    {"an MP4 video", 4, "ftyp", 4, true, true, frames_of_mp4, probe_boxes_are_cut},
    {"a QuickTime video", 4, "moov", 4, true, true, frames_of_mp4, probe_boxes_are_cut},
    {"a QuickTime video", 4, "mdat", 4, true, true, frames_of_mp4, probe_boxes_are_cut},
    {"a QuickTime video", 4, "wide", 4, true, true, frames_of_mp4, probe_boxes_are_cut},
    {"a Matroska or WebM video", 0, "\x1a\x45\xdf\xa3", 4, true, true, NULL, probe_matroska_is_cut},
    {"PDF", 0, "%PDF", 4, false, false, NULL, NULL},
    {"SVG", 0, "<svg", 4, false, false, NULL, NULL},
    {"a web page", 0, "<!DOCTYPE", 9, false, false, NULL, NULL},
    {"a web page", 0, "<html", 5, false, false, NULL, NULL},
    {"a Git LFS pointer", 0, "version https://git-lfs", 23, false, false, NULL, NULL},
};

static const Kind *find_kind(const Open *o)
{
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++)
        if (o->got >= kind[i].at + kind[i].bytes && memcmp(o->head + kind[i].at, kind[i].mark, kind[i].bytes) == 0)
            return &kind[i];
    return NULL;
}

static bool is_read(const char *folder, const char *name)
{
    Open o = {0};
    char *path = path_join(folder, name);
    struct stat s;
    if (stat(path, &s) == 0 && S_ISREG(s.st_mode)) o.file = fopen(path, "re");
    if (o.file) o.got = fread(o.head, 1, HEAD_BYTES, o.file);
    if (o.file) fclose(o.file);
    free(path);
    const Kind *k = find_kind(&o);
    return k && k->read;
}

/* "anna.JPG" beside a missing "anna.jpg" or "anna.png": a picture or video of the same name but for its ending and upper case;
 * free() it, NULL: none. */
static char *similar_name(const char *path)
{
    enum { MOST_LOOKED_AT = 2000 }; /* a table may name ten thousand files that are not there */
    char *folder = path_folder(path), *found = NULL;
    const char *name = path_name(path), *dot = strrchr(name, '.');
    const size_t stem = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    DIR *dir = opendir(folder);
    struct dirent *e;
    for (int i = 0; dir && !found && i < MOST_LOOKED_AT && (e = readdir(dir)); i++)
        if (strncasecmp(e->d_name, name, stem) == 0 && (!e->d_name[stem] || e->d_name[stem] == '.') &&
            !strchr(e->d_name + stem + (e->d_name[stem] == '.'), '.') && is_read(folder, e->d_name))
            found = text_copy(e->d_name);
    if (dir) closedir(dir);
    free(folder);
    return found;
}

static Status no_file(const char *path)
{
    char *similar = similar_name(path);
    Status status = strchr(path, '\\') ? status_fail(ERR_INPUT, "no such file; between folders stands / here, not \\")
                    : similar          ? status_fail(ERR_INPUT, "no such file; %s is there", quoted(similar).text)
                                       : status_fail(ERR_INPUT, "no such file");
    free(similar);
    return status;
}

static Status check_file(const char *path, const char *expected, bool folder_too, struct stat *s)
{
    if (strncmp(path, "http://", 7) == 0 || strncmp(path, "https://", 8) == 0 || strstr(path, "/http:/") ||
        strstr(path, "/https:/"))
        return status_fail(ERR_INPUT, "an address, which is not fetched; expected a file");
    if (stat(path, s) != 0)
        return errno == ENOENT || errno == ENOTDIR ? no_file(path) : status_errno(ERR_INPUT, "cannot be read");
    if (S_ISDIR(s->st_mode) && !folder_too) return status_fail(ERR_INPUT, "a folder; expected a %s", expected);
    if (!S_ISREG(s->st_mode) && !S_ISDIR(s->st_mode))
        return status_fail(ERR_INPUT, "a device or a pipe; expected a %s", expected);
    return status_ok();
}

static Status check_sides(const Probe *p)
{
    if ((p->width || p->height) &&
        (p->width < 1 || p->height < 1 || p->width > PROBE_MAX_SIDE || p->height > PROBE_MAX_SIDE))
        return status_fail(ERR_INPUT, "%dx%d pixels, expected 1 to %d a side", p->width, p->height, PROBE_MAX_SIDE);
    return status_ok();
}

static Status check_whole(const Open *o, const Kind *k)
{
    if (!k->is_cut(o->file, o->bytes)) return status_ok();
    return status_fail(ERR_INPUT, "%s, cut short: it ends after %lld bytes, before its %s does; copy it again",
                       k->format, (long long)o->bytes, k->video ? "video" : "picture");
}

/* Of an open regular file. */
static Status look_inside(Open *o, bool video, Probe *out)
{
    const char *wanted = video ? "a video (MP4, QuickTime, Matroska, WebM, AVI or a moving GIF) or a folder of pictures"
                               : "a picture (PNG, JPEG, WebP, AVIF, HEIC, GIF, BMP or TIFF)";
    o->got = fread(o->head, 1, HEAD_BYTES, o->file);
    if (ferror(o->file)) return status_errno(ERR_INPUT, "cannot be read");
    if (o->bytes == 0) return status_fail(ERR_INPUT, "an empty file; expected %s", wanted);
    const Kind *k = find_kind(o);
    if (!k) return status_fail(ERR_INPUT, "neither a picture nor a video; expected %s", wanted);
    out->format = k->format;
    const bool gif = strcmp(k->format, "GIF") == 0; /* either */
    if (!k->read || (k->video != video && !gif)) return status_fail(ERR_INPUT, "%s; expected %s", k->format, wanted);
    int64_t most = video ? PROBE_MAX_VIDEO_BYTES : PROBE_MAX_PICTURE_BYTES;
    if (o->bytes > most)
        return status_fail(ERR_INPUT, "%.1f GB large; expected at most %.1f GB", (double)o->bytes / 1e9,
                           (double)most / 1e9);
    if (o->got < 30) return status_fail(ERR_INPUT, "%s, cut after %lld bytes", k->format, (long long)o->bytes);
    out->video = k->video;
    if (k->look) k->look(o, out);
    TRY(check_sides(out));
    return check_whole(o, k);
}

static Status look_at(const char *path, int64_t bytes, bool video, Probe *out)
{
    Open o = {.file = fopen(path, "rb"), .bytes = bytes};
    if (!o.file) return status_errno(ERR_INPUT, "cannot be read");
    Status status = look_inside(&o, video, out);
    fclose(o.file);
    return status;
}

Status probe_picture(const char *path, Probe *out)
{
    struct stat s;
    *out = (Probe){0};
    TRY(check_file(path, "picture", false, &s));
    return look_at(path, s.st_size, false, out);
}

Status probe_video(const char *path, Probe *out)
{
    struct stat s;
    char **name;
    int count;
    *out = (Probe){0};
    TRY(check_file(path, "video", true, &s));
    if (!S_ISDIR(s.st_mode)) return look_at(path, s.st_size, true, out);
    if (failed(shot_file_names(path, &name, &count))) return status_fail(ERR_INPUT, "a folder that cannot be read");
    Status status = count ? status_ok() : status_fail(ERR_INPUT, "an empty folder; expected pictures, one a frame");
    for (int i = 0; i < count && !failed(status); i++) {
        char *file = path_join(path, name[i]);
        status = probe_picture(file, out);
        if (failed(status)) status = status_at(status, "%s in it", name[i]);
        free(file);
    }
    shot_file_names_free(name, count);
    *out = (Probe){.format = "a folder of pictures", .video = true, .frames = count};
    return status;
}

/* ---- adapters ---- */

static bool is_adapter_name(const char *name)
{
    static const char *const part[] = {".lora_A.", ".lora_B.", ".lora_down.", ".lora_up.", ".lora.down.", ".lora.up."};
    const char *last = strrchr(name, '.');
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (strstr(name, part[i])) return true;
    return last && (strcmp(last, ".diff") == 0 || strcmp(last, ".diff_b") == 0); /* not "model.diffusion_model." */
}

static Status check_adapter_header(const char *text, size_t bytes)
{
    json_error_t error;
    json_t *header = json_loadb(text, bytes, 0, &error);
    const char *name;
    json_t *entry;
    bool found = false;
    json_object_foreach(header, name, entry) found = found || is_adapter_name(name);
    const bool is_object = json_is_object(header);
    json_decref(header);
    if (!is_object) return status_fail(ERR_INPUT, "its header is no JSON object; expected a safetensors file");
    if (found) return status_ok();
    return status_fail(ERR_INPUT, "no LoRA: none of its tensors is called lora_A, lora_down or diff");
}

/* 8 bytes of length, little-endian, then so much JSON. */
static Status look_at_adapter(Open *o)
{
    uint8_t b[8];
    if (!read_at(o, 0, b, sizeof b))
        return status_fail(ERR_INPUT, "%lld bytes are too short for a safetensors file", (long long)o->bytes);
    const uint64_t length = (uint64_t)le32(b + 4) << 32 | le32(b);
    const bool fits = length <= PROBE_MAX_HEADER_BYTES && (int64_t)length <= o->bytes - 8;
    if (!fits && (memcmp(b, "PK\3\4", 4) == 0 || memcmp(b, "\x80\2", 2) == 0))
        return status_fail(ERR_INPUT, "a PyTorch file, which is a program and not read; expected a safetensors file "
                                      "(`reelwright inspect` says how to write one)");
    if (length > PROBE_MAX_HEADER_BYTES && *b == '{')
        return status_fail(ERR_INPUT, "a JSON text; expected the weights themselves, in one safetensors file");
    if (!fits)
        return status_fail(ERR_INPUT, "no safetensors file: its header would be %llu bytes long",
                           (unsigned long long)length);
    char *text = malloc((size_t)length + 1);
    if (!text) return status_fail(ERR_NODE, "out of memory for a header of %llu bytes", (unsigned long long)length);
    Status status = read_at(o, 8, text, (size_t)length) ? check_adapter_header(text, (size_t)length)
                                                        : status_fail(ERR_INPUT, "its header cannot be read");
    free(text);
    return status;
}

Status probe_adapter(const char *path, Probe *out)
{
    struct stat s;
    *out = (Probe){.format = "a safetensors file"};
    TRY(check_file(path, "safetensors file", false, &s));
    Open o = {.file = fopen(path, "rb"), .bytes = s.st_size};
    if (!o.file) return status_errno(ERR_INPUT, "cannot be read");
    Status status = look_at_adapter(&o);
    fclose(o.file);
    return status;
}
