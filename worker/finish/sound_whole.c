#include "sound_whole.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/file.h"

enum { HEAD = 64, SLACK = 4096 /* what programs forget to count */ };

/* Formats whose head says how many bytes follow it. */
static const struct {
    const char *mark; /* first bytes */
    int at, bytes;    /* where the number stands */
    bool big_end;
    int before;       /* bytes of the file that it does not count */
    uint64_t unknown; /* from here on: written to a pipe */
} sized[] = {
    {"RIFF", 4, 4, false, 8, 0x7FFF0000},
    {"RF64", 20, 8, false, 8, INT64_MAX - 8},
    {"riff\x2E\x91\xCF\x11", 16, 8, false, 0, INT64_MAX}, /* W64 */
    {"FORM", 4, 4, true, 8, 0x7FFF0000},                  /* AIFF */
};

static Status check_size(const char *path, const uint8_t *head, int64_t bytes, SoundWhole *out)
{
    for (size_t i = 0; i < sizeof sized / sizeof *sized; i++) {
        if (memcmp(head, sized[i].mark, strlen(sized[i].mark)) != 0) continue;
        const uint8_t *at = head + sized[i].at;
        const uint64_t says = sized[i].big_end ? bytes_be(at, sized[i].bytes) : bytes_le(at, sized[i].bytes);
        *out = says == 0 || says >= sized[i].unknown ? SOUND_SAYS_NOTHING : SOUND_IS_WHOLE;
        if (*out == SOUND_SAYS_NOTHING) return status_ok();
        const int64_t whole = (int64_t)says + sized[i].before;
        if (whole <= bytes + SLACK) return status_ok();
        return status_fail(ERR_INPUT, "%s: cut short: %lld of its %lld bytes are there", path, (long long)bytes,
                           (long long)whole);
    }
    return status_ok();
}

enum { PAGE_HEAD = 27, PAGE = PAGE_HEAD + 255 + 255 * 255, FLAGS = 5, LAST_PAGE = 4 };

/* An Ogg file is made of pages that say how long they are; the last one says that it is. Telephones leave that out. */
static Status check_pages(const char *path, FILE *f, int64_t bytes, SoundWhole *out)
{
    uint8_t end[PAGE + PAGE_HEAD];
    const int64_t got = bytes < (int64_t)sizeof end ? bytes : (int64_t)sizeof end;
    int64_t page = -1;
    if (fseeko(f, bytes - got, SEEK_SET) != 0 || fread(end, (size_t)got, 1, f) != 1) return status_ok();
    for (int64_t at = got - PAGE_HEAD; at >= 0 && page < 0; at--)
        if (memcmp(end + at, "OggS", 4) == 0) page = at;
    if (page < 0) return status_ok();
    const int segments = end[page + PAGE_HEAD - 1];
    int64_t needs = PAGE_HEAD + segments;
    for (int i = 0; i < segments && page + PAGE_HEAD + i < got; i++) needs += end[page + PAGE_HEAD + i];
    if (page + needs > got)
        return status_fail(ERR_INPUT, "%s: cut short: its last part is not whole; copy or export it again", path);
    *out = end[page + FLAGS] & LAST_PAGE ? SOUND_IS_WHOLE : SOUND_SAYS_NOTHING;
    return status_ok();
}

Status sound_whole(const char *path, SoundWhole *out)
{
    uint8_t head[HEAD] = {0};
    int64_t bytes;
    *out = SOUND_ASK_LIBAV;
    FILE *f = fopen(path, "rb");
    if (!f) return status_ok();
    Status status = status_ok();
    if (fread(head, 1, HEAD, f) >= 8 && !failed(file_size(path, &bytes)))
        status = memcmp(head, "OggS", 4) == 0 ? check_pages(path, f, bytes, out) : check_size(path, head, bytes, out);
    fclose(f);
    return status;
}
