import { describe, expect, it } from 'vitest';
import { ReplyQueue } from './reply-queue.ts';

describe('answering out of order', () => {
  it('sends in the order of the questions', () => {
    const sent: string[] = [];
    const queue = new ReplyQueue<string>((answer) => sent.push(answer));
    const [first, second, third] = [queue.reserve(), queue.reserve(), queue.reserve()];
    third('c');
    second('b');
    expect(sent).toEqual([]);
    expect(queue.length).toBe(3);
    first('a');
    expect(sent).toEqual(['a', 'b', 'c']);
    expect(queue.length).toBe(0);
  });

  it('counts only the first answer to a question', () => {
    const sent: number[] = [];
    const queue = new ReplyQueue<number>((answer) => sent.push(answer));
    const answer = queue.reserve();
    answer(1);
    answer(2);
    expect(sent).toEqual([1]);
  });
});
