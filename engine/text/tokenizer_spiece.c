/* A spiece.model is a protobuf message whose fields are
 *   1 piece {1 text, 2 score (float), 3 type}, repeated, in the order of their ids;   3 normaliser {2 precompiled_charsmap}.
 * Everything else is skipped. */
#include "tokenizer_spiece.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clean_text.h"
#include "common/file.h"

enum { WIRE_VARINT = 0, WIRE_8_BYTES = 1, WIRE_BYTES = 2, WIRE_4_BYTES = 5 };
enum {
    MODEL_PIECE = 1,
    MODEL_NORMALIZER = 3,
    PIECE_TEXT = 1,
    PIECE_SCORE = 2,
    PIECE_TYPE = 3,
    NORMALIZER_CHARSMAP = 2
};

static const size_t spiece_max_bytes = (size_t)1 << 28;

/* The bytes at..end of a message inside the file that begins at start. */
typedef struct {
    const uint8_t *start, *at, *end;
} Reader;

typedef struct {
    uint32_t number;
    int wire;
    uint64_t value;      /* WIRE_VARINT and the fixed ones */
    const uint8_t *from; /* WIRE_BYTES: value bytes */
} Field;

static Status not_a_model(const Reader *r, const uint8_t *where, const char *why)
{
    return status_fail(ERR_INPUT, "not a SentencePiece model (byte %zu: %s)", (size_t)(where - r->start), why);
}

static Status read_varint(Reader *r, uint64_t *value)
{
    const uint8_t *first = r->at;
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end) return not_a_model(r, first, "a number is cut off");
        uint8_t byte = *r->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return status_ok();
    }
    return not_a_model(r, first, "a number longer than 64 bits");
}

static Status read_fixed(Reader *r, unsigned bytes, uint64_t *value)
{
    if ((size_t)(r->end - r->at) < bytes) return not_a_model(r, r->at, "a number is cut off");
    *value = 0;
    for (unsigned i = 0; i < bytes; i++) *value |= (uint64_t)*r->at++ << (8 * i);
    return status_ok();
}

static Status read_field(Reader *r, Field *f)
{
    const uint8_t *first = r->at;
    uint64_t key;
    *f = (Field){0};
    TRY(read_varint(r, &key));
    f->wire = (int)(key & 7);
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff) return not_a_model(r, first, "an impossible field number");
    f->number = (uint32_t)(key >> 3);
    switch (f->wire) {
    case WIRE_VARINT:
        return read_varint(r, &f->value);
    case WIRE_8_BYTES:
        return read_fixed(r, 8, &f->value);
    case WIRE_4_BYTES:
        return read_fixed(r, 4, &f->value);
    case WIRE_BYTES:
        TRY(read_varint(r, &f->value));
        if (f->value > (uint64_t)(r->end - r->at))
            return not_a_model(r, first, "a field is longer than the rest of its message");
        f->from = r->at;
        r->at += f->value;
        return status_ok();
    default:
        return not_a_model(r, first, "an unknown kind of field");
    }
}

static Status check_utf8(const Reader *r, const Field *f)
{
    for (size_t i = 0, used; i < f->value; i += used) {
        uint32_t c;
        used = clean_text_decode(f->from + i, f->value - i, &c);
        if (used == 0) return not_a_model(r, f->from + i, "a piece that is not UTF-8");
    }
    return status_ok();
}

static Status read_piece(const Reader *file, const Field *message, TokenizerVocab *v)
{
    Reader r = {file->start, message->from, message->from + message->value};
    Field text = {0};
    float score = 0;
    int type = PIECE_NORMAL;
    while (r.at < r.end) {
        Field f;
        TRY(read_field(&r, &f));
        if (f.number == PIECE_TEXT && f.wire == WIRE_BYTES) {
            text = f;
        } else if (f.number == PIECE_SCORE && f.wire == WIRE_4_BYTES) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&score, &bits, sizeof score);
        } else if (f.number == PIECE_TYPE && f.wire == WIRE_VARINT) {
            type = f.value <= 6 ? (int)f.value : 0;
        }
    }
    TRY(check_utf8(&r, &text));
    if (!isfinite(score)) return not_a_model(&r, message->from, "a score that is no number");
    return tokenizer_vocab_add(v, (const char *)text.from, text.value, (double)score, type);
}

static Status read_normalizer(const Reader *file, const Field *message, TokenizerVocab *v)
{
    Reader r = {file->start, message->from, message->from + message->value};
    while (r.at < r.end) {
        Field f;
        TRY(read_field(&r, &f));
        if (f.number == NORMALIZER_CHARSMAP && f.wire == WIRE_BYTES)
            TRY(tokenizer_vocab_set_charsmap(v, f.from, f.value));
    }
    return status_ok();
}

Status tokenizer_spiece_parse(const uint8_t *bytes, size_t n, TokenizerVocab *v)
{
    Reader r = {bytes, bytes, bytes + n};
    while (r.at < r.end) {
        Field f;
        TRY(read_field(&r, &f));
        if (f.wire != WIRE_BYTES) continue;
        if (f.number == MODEL_PIECE) TRY(read_piece(&r, &f, v));
        if (f.number == MODEL_NORMALIZER) TRY(read_normalizer(&r, &f, v));
    }
    if (v->count <= TOKENIZER_UNKNOWN_ID)
        return status_fail(ERR_INPUT, "not a SentencePiece model (%zu pieces in %zu bytes, expected at least 3)",
                           v->count, n);
    return status_ok();
}

Status tokenizer_spiece_read(const char *path, TokenizerVocab *v)
{
    char *bytes = NULL;
    size_t n = 0;
    TRY(file_read(path, spiece_max_bytes, &bytes, &n));
    Status status = status_at(tokenizer_spiece_parse((const uint8_t *)bytes, n, v), "%s", path);
    free(bytes);
    return status;
}
