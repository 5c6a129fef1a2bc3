// See fake_queue.h.
#include "fake_queue.h"

#include <stdlib.h>
#include <string.h>

void append(graph *to, operation *one) {
  one->next = NULL;
  if (to->last != NULL) to->last->next = one;
  else to->first = one;
  to->last = one;
}

void release(operation *one) {
  free(one->maps);
  free(one->words);
  free(one);
}

static operation *duplicate(const operation *one) {
  operation *copy = malloc(sizeof *copy);
  *copy = *one;
  if (one->kind == KERNEL) {
    copy->maps = malloc((size_t)one->what->maps * 128 + 1);
    copy->words = malloc((size_t)one->what->words * 8 + 1);
    memcpy(copy->maps, one->maps, (size_t)one->what->maps * 128);
    memcpy(copy->words, one->words, (size_t)one->what->words * 8);
  }
  return copy;
}

static void execute(operation *one) {
  if (one->kind == EVENT) one->event->pending--;
  if (sticky != 0) return;
  if (one->kind == COPY) memcpy(one->to, one->from, one->bytes);
  if (one->kind != KERNEL) return;
  control.launches++;
  if (control.kernel_code != 0) {
    sticky = control.kernel_code;
    control.kernel_code = 0;
    return;
  }
  for (int64_t item = 0; item < one->items; item++) one->what->run(item, one->maps, one->words);
}

void drain(stream *from, const event *until) {
  while (from->queue.first != NULL && (until == NULL || until->pending > 0)) {
    operation *one = from->queue.first;
    from->queue.first = one->next;
    if (one->next == NULL) from->queue.last = NULL;
    execute(one);
    release(one);
  }
}

void put(stream *to, operation *one) { append(to->capture != NULL ? to->capture : &to->queue, one); }

void destroy(graph *one) {
  while (one->first != NULL) {
    operation *next = one->first->next;
    release(one->first);
    one->first = next;
  }
  free(one);
}

void fill(graph *to, const graph *from) {
  for (operation *one = from->first; one != NULL; one = one->next) append(to, duplicate(one));
}
