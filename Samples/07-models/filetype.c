// Tells what kind of files some are with the compiled network: filetype FOLDER FILE …
// In: FOLDER/kinds.txt, which lesson 7 has written. Out: a line for each file; 0 if all could be read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filetype.h"

enum { SEEN = 1024, BLOCK = 4096, PADDING = 256, KINDS = 1024 };

static int is_blank(int byte) { return byte == ' ' || (byte >= 9 && byte <= 13); }

/// The first bytes of a file that are not blank, and the last, with padding between. Returns 0 if the file can't be read.
static int read_features(const char *path, int32_t *features) {
  unsigned char block[BLOCK];
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  for (int i = 0; i < 2 * SEEN; i++) features[i] = PADDING;
  size_t count = fread(block, 1, BLOCK, file), start = 0;
  while (start < count && is_blank(block[start])) start++;
  for (size_t i = 0; i < SEEN && start + i < count; i++) features[i] = block[start + i];
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  fseek(file, size > BLOCK ? size - BLOCK : 0, SEEK_SET);
  count = fread(block, 1, BLOCK, file);
  fclose(file);
  while (count > 0 && is_blank(block[count - 1])) count--;
  for (size_t i = 0; i < SEEN && i < count; i++) features[2 * SEEN - 1 - i] = block[count - 1 - i];
  return 1;
}

int main(int count, char **words) {
  if (count < 3) return fprintf(stderr, "usage: filetype FOLDER FILE …\n"), 1;
  char path[4096], text[16384], *kinds[KINDS];
  snprintf(path, sizeof path, "%s/kinds.txt", words[1]);
  FILE *file = fopen(path, "r");
  if (!file) return fprintf(stderr, "%s can't be read\n", path), 1;
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  int64_t kind_count = 0;
  for (char *kind = strtok(text, "\n"); kind && kind_count < KINDS; kind = strtok(NULL, "\n")) kinds[kind_count++] = kind;

  int64_t files = count - 2;
  int32_t *features = malloc((size_t)files * 2 * SEEN * sizeof *features);
  float *scores = malloc((size_t)(files * kind_count) * sizeof *scores);
  if (!features || !scores) return 1;
  for (int64_t i = 0; i < files; i++)
    if (!read_features(words[i + 2], features + i * 2 * SEEN)) return fprintf(stderr, "%s can't be read\n", words[i + 2]), 1;
  kiln_tensor input = {features, KILN_I32, 2, (const int64_t[]){files, 2 * SEEN}};
  kiln_tensor output = {scores, KILN_F32, 2, (const int64_t[]){files, kind_count}};
  if (filetype_run(&input, 1, &output, 1) != KILN_OK) return fprintf(stderr, "%s\n", filetype_last_error()), 1;
  for (int64_t i = 0; i < files; i++) {
    int64_t best = 0;
    for (int64_t kind = 1; kind < kind_count; kind++)
      if (scores[i * kind_count + kind] > scores[i * kind_count + best]) best = kind;
    printf("%s: %s (%.0f %%)\n", words[i + 2], kinds[best], 100 * (double)scores[i * kind_count + best]);
  }
  return 0;
}
