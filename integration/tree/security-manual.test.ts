import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** The manual's promises each name a test; a promise whose test is gone is none. */
describe('docs/security.md', () => {
  const text = readFileSync('docs/security.md', 'utf8');
  const [promises = ''] = text.split('\n## What protects what');
  const sentences = promises.split('\n').filter((line) => line.startsWith('- '));

  it.each(sentences)('%s', (sentence) => {
    const tests = [...sentence.matchAll(/\[([a-z][\w./-]+): ([^\]]+)\]/g)];
    expect(tests.length).toBeGreaterThan(0);
    for (const [, file = '', title = ''] of tests) {
      const path = `${file}.test.ts`;
      expect(existsSync(path) ? '' : path).toBe('');
      expect(readFileSync(path, 'utf8')).toContain(title);
    }
  });
});
