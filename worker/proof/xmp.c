#include "xmp.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libavutil/crc.h>

#include "common/file.h"

enum { MAX_STILL = 256 << 20 };

/* ---- the packet -------------------------------------------------------------------------------------------------------------------- */

static void put_escaped(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", to);
        else if (*text == '>')
            fputs("&gt;", to);
        else if (*text == '&')
            fputs("&amp;", to);
        else if (*text == '"')
            fputs("&quot;", to);
        else
            fputc(*text, to);
    }
}

char *xmp_packet(const char *aigc, size_t *bytes)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, bytes);
    if (!f) abort();
    fputs("<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
          "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
          "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
          "<rdf:Description rdf:about=\"\"\n"
          "  xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n"
          "  xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"\n"
          "  xmlns:plus=\"http://ns.useplus.org/ldf/xmp/1.0/\"\n"
          "  xmlns:TC260=\"http://www.tc260.org.cn/ns/AIGC/1.0/\"\n"
          "  xmp:CreatorTool=\"Reelwright\"\n"
          "  Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\"\n"
          "  plus:DataMining=\"http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED\"",
          f);
    if (aigc) {
        fputs("\n  TC260:AIGC=\"", f);
        put_escaped(f, aigc);
        fputc('"', f);
    }
    fputs("/>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"r\"?>", f);
    fclose(f);
    return text;
}

/* ---- where it goes -------------------------------------------------------------------------------------------------------------------- */

static void big_endian(uint8_t *to, size_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static Status append_box(const char *path, const char *packet, size_t bytes)
{
    static const uint8_t id[16] = {0xbe, 0x7a, 0xcf, 0xcb, 0x97, 0xa9, 0x42, 0xe8,
                                   0x9c, 0x71, 0x99, 0x94, 0x91, 0xe3, 0xaf, 0xac};
    uint8_t head[8] = {0, 0, 0, 0, 'u', 'u', 'i', 'd'};
    big_endian(head, sizeof head + sizeof id + bytes, 4);
    FILE *f = fopen(path, "ab");
    bool fine = f && fwrite(head, 1, sizeof head, f) == sizeof head && fwrite(id, 1, sizeof id, f) == sizeof id &&
                fwrite(packet, 1, bytes, f) == bytes;
    if (f && fclose(f) != 0) fine = false;
    return fine ? status_ok() : status_errno(ERR_NODE, "%s: cannot write", path);
}

typedef struct {
    uint8_t *data;
    size_t bytes;
} Block;

static Block join(const void *head, size_t head_bytes, const char *packet, size_t bytes, size_t tail_bytes)
{
    Block b = {memory_get(head_bytes + bytes + tail_bytes, 1), head_bytes + bytes + tail_bytes};
    memcpy(b.data, head, head_bytes);
    memcpy(b.data + head_bytes, packet, bytes);
    return b;
}

static Block png_chunk(const char *packet, size_t bytes)
{
    static const char keyword[] = "XML:com.adobe.xmp\0\0\0\0"; /* not compressed, no language, no translation */
    uint8_t head[8 + sizeof keyword] = {0, 0, 0, 0, 'i', 'T', 'X', 't'};
    const AVCRC *table = av_crc_get_table(AV_CRC_32_IEEE_LE);
    memcpy(head + 8, keyword, sizeof keyword);
    big_endian(head, sizeof keyword + bytes, 4);
    Block b = join(head, sizeof head, packet, bytes, 4);
    big_endian(b.data + b.bytes - 4, ~av_crc(table, UINT32_MAX, b.data + 4, b.bytes - 8), 4);
    return b;
}

static Block jpeg_segment(const char *packet, size_t bytes)
{
    static const char name[] = "http://ns.adobe.com/xap/1.0/";
    uint8_t head[4 + sizeof name] = {0xff, 0xe1};
    memcpy(head + 4, name, sizeof name);
    big_endian(head + 2, 2 + sizeof name + bytes, 2);
    return join(head, sizeof head, packet, bytes, 0);
}

/* Readers that know no XMP walk over it as over blocks whose lengths are its letters; the tail leads each of them to the end. */
static Block gif_extension(const char *packet, size_t bytes)
{
    static const char head[] = "\x21\xff\x0bXMP DataXMP";
    Block b = join(head, sizeof head - 1, packet, bytes, 258);
    uint8_t *tail = b.data + b.bytes - 258;
    tail[0] = 1;
    for (int i = 0; i < 256; i++) tail[1 + i] = (uint8_t)(255 - i);
    tail[257] = 0;
    return b;
}

typedef struct {
    const char *ending;
    Block (*make)(const char *packet, size_t bytes);
} Still;
static const Still stills[] = {
    {".png", png_chunk}, {".jpg", jpeg_segment}, {".jpeg", jpeg_segment}, {".gif", gif_extension}};

/* Behind the header: a PNG's IHDR, a JPEG's SOI and JFIF segment, a GIF's screen and colours. 0: it is none. */
static size_t place_in(const Still *s, const uint8_t *data, size_t bytes)
{
    if (s->make == png_chunk) return bytes > 33 && memcmp(data, "\x89PNG", 4) == 0 ? 33 : 0;
    if (s->make == gif_extension) {
        const size_t colors = bytes > 13 && data[10] & 0x80 ? (size_t)3 << ((data[10] & 7) + 1) : 0;
        return bytes > 13 + colors && memcmp(data, "GIF89a", 6) == 0 ? 13 + colors : 0;
    }
    if (bytes < 6 || data[0] != 0xff || data[1] != 0xd8) return 0;
    const size_t jfif = data[2] == 0xff && data[3] == 0xe0 ? 2 + (size_t)(data[4] << 8 | data[5]) : 0;
    return 2 + jfif <= bytes ? 2 + jfif : 0;
}

static Status insert(const Still *s, const char *path, const char *packet, size_t bytes)
{
    char *data = NULL;
    size_t had = 0;
    TRY(file_read(path, MAX_STILL, &data, &had));
    const size_t at = place_in(s, (const uint8_t *)data, had);
    Status status = at ? status_ok() : status_fail(ERR_NODE, "%s: not what its name says", path);
    if (at) {
        Block b = s->make(packet, bytes);
        char *whole = memory_get(had + b.bytes, 1);
        memcpy(whole, data, at);
        memcpy(whole + at, b.data, b.bytes);
        memcpy(whole + at + b.bytes, data + at, had - at);
        status = file_replace(path, whole, had + b.bytes);
        free(whole);
        free(b.data);
    }
    free(data);
    return status;
}

Status xmp_add(const char *path, const char *aigc)
{
    const char *end = strrchr(path_name(path), '.');
    size_t bytes = 0;
    Status status = status_ok();
    if (!end) return status;
    char *packet = xmp_packet(aigc, &bytes);
    if (strcasecmp(end, ".mp4") == 0) status = append_box(path, packet, bytes);
    for (size_t i = 0; i < sizeof stills / sizeof *stills; i++)
        if (strcasecmp(end, stills[i].ending) == 0) status = insert(&stills[i], path, packet, bytes);
    free(packet);
    return status;
}
