/* finish_keys_parts.h - the inside of FinishKeys, for finish_keys*.c. */
#ifndef REELWRIGHT_FINISH_KEYS_PARTS_H
#define REELWRIGHT_FINISH_KEYS_PARTS_H

#include "coordinator/campaign/finish_keys.h"
#include "coordinator/campaign/lexicon.h"
#include "coordinator/campaign/styles.h"

enum { FINISH_MAX_OVERLAYS = 16 };

typedef struct {
    const char *key;    /* for messages: "voice.text", "overlays" */
    const char *member; /* in the document */
    Template *text;
    TemplateForm form;
    int line;
    bool is_file;
} FinishSlot;

typedef enum {
    FINISH_VOICE_TEXT,
    FINISH_VOICE_SSML,
    FINISH_VOICE_LANGUAGE,
    FINISH_VOICE_FILE,
    FINISH_VOICE_PHONETIC,
    FINISH_MUSIC_FILE,
    FINISH_LABEL_TEXT,
    FINISH_SLOTS
} FinishSlotName;

typedef struct {
    FinishSlot value; /* of text, image or qr */
    const json_t *style;
} FinishOverlay;

struct FinishKeys {
    CampaignLoad *l;
    FinishSlot slot[FINISH_SLOTS];
    int overlay_count;
    FinishOverlay overlay[FINISH_MAX_OVERLAYS];
    Styles styles;
    Lexicon *lexicon;
    char *text; /* an expanded template */
    size_t room;
    int used_count, *used; /* the columns that any template of a clip uses; NULL: not looked for yet */
    bool rows_differ;      /* beside what fallbacks stand for */
    bool speaks;           /* the model: its lips follow the voice */
};

/* The row's value into k->text; its length. */
size_t finish_keys_expand(FinishKeys *k, const FinishSlot *s, int64_t row);
/* Where a row's value is told of: at its first column, else at the key. */
Place finish_keys_slot_place(const FinishKeys *k, const FinishSlot *s, int64_t row);
/* Whether nothing in them depends on the row: the keys from first to last, the overlays. */
bool finish_keys_slots_constant(const FinishKeys *k, int first, int last);
bool finish_keys_overlays_constant(const FinishKeys *k);

#endif
