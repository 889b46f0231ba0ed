/* sequence.h - whether a clip's pictures stand in their order. On small pictures, each compared with the sixteen before it.
 *
 * Two things that a wrong order makes: in eight pictures, half and more are nearer to the one after the next than to the next, and not for
 * longer than fourteen pictures, as where a wheel turns, a hand shakes or light varies; a leap, and the same leap again a few pictures
 * later, with none between, as where pictures are played backwards. What turns round once, as a ball at a wall does, is in no wrong order. */
#ifndef REELWRIGHT_SEQUENCE_H
#define REELWRIGHT_SEQUENCE_H

typedef struct Sequence Sequence;

Sequence *sequence_new(int width, int height);
void sequence_free(Sequence **s);
/* [height][width][3], levels; the pictures of a clip in turn. */
void sequence_picture(Sequence *s, const float *rgb);
/* From picture i on: per cent of the pictures that do not follow from one another, or how much nearer, in per cent, they are to others than to
 * those beside them. */
float sequence_at(const Sequence *s, int i);

#endif
