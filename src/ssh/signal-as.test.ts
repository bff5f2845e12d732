import { describe, expect, it } from 'vitest';
import { SignalSender } from './signal-as.ts';

describe('the signals of one program', () => {
  it('are sent one after the other, and one of a kind waits', async () => {
    const sent: string[] = [];
    let running = 0;
    const go = Promise.withResolvers<boolean>();
    const sender = new SignalSender(async (names) => {
      expect(++running).toBe(1);
      sent.push(names.join(' '));
      const result = await go.promise;
      running--;
      return result;
    });
    const all = [sender.send('HUP', 'CONT')];
    await Promise.resolve();
    for (let i = 0; i < 1000; i++)
      all.push(sender.send('INT'), sender.send('HUP', 'CONT'), sender.send('TERM'));
    go.resolve(true);
    expect(new Set(await Promise.all(all))).toEqual(new Set([true]));
    expect(sent).toEqual(['HUP CONT', 'INT', 'HUP CONT', 'TERM']);
    expect(await sender.send('INT')).toBe(true);
    expect(sent).toHaveLength(5);
  });
});
