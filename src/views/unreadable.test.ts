import { expect, it } from 'vitest';
import { BehaviorSubject } from 'rxjs';
import type { Withheld } from './entities.ts';
import type { HostsState, Membership } from './hosts.ts';
import { emptyTable, removeIn, setIn, tableFrom } from './table.ts';
import { watchUnreadable } from './unreadable.ts';

let looks = 0;
const withheld = (position: number): Withheld<Membership> => ({
  last: null,
  get facts() {
    looks++;
    return [{ type: 'host.changed', position, why: 'newer', critical: [] }];
  },
});

it.each([100, 1_000, 30_000])(
  'one more among %d that cannot be read costs no look at the others',
  (count) => {
    let unreadable = tableFrom(Array.from({ length: count }, (_, n) => [`h${n}`, withheld(n)] as const));
    const changes = new BehaviorSubject<HostsState>({ known: emptyTable, unreadable });
    const told: string[] = [];
    const hosts = { state: () => changes.value, changes };
    const watch = watchUnreadable({ hosts }, ({ name }) => told.push(name));
    expect(told).toHaveLength(count);
    looks = 0;
    unreadable = setIn(removeIn(unreadable, 'h0'), 'one-more', withheld(count));
    changes.next({ known: emptyTable, unreadable });
    expect(told.slice(count)).toEqual(['one-more']);
    expect(looks).toBeLessThanOrEqual(4);
    unreadable = setIn(unreadable, 'h0', withheld(0));
    changes.next({ known: emptyTable, unreadable });
    expect(told.slice(count)).toEqual(['one-more', 'h0']);
    watch.close();
  },
);
