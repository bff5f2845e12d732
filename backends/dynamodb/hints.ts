import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import { Observable } from 'rxjs';
import { isCoded } from '../../src/base/errors.ts';
import { startTimer, stopTimer, type Timer } from '../../src/base/timers.ts';
import type { Partition } from '../../src/log/event.ts';
import { attributes, sortOfSlot, stripeOf } from './items.ts';
import type { TableAccess } from './table-access.ts';

const busyMs = 100;
/** How long after the last news polling slows down. */
const busyForMs = 5_000;

/**
 * Polls whether the slot after the newest known one is there: one small read, every 100 ms while there is
 * news, up to `idleMs` apart when there is none.
 */
export function pollNewest(
  table: TableAccess,
  partition: Partition,
  newest: () => number,
  idleMs: number,
): Observable<void> {
  return new Observable((subscriber) => {
    let closed = false;
    let timer: Timer | undefined;
    let lastNews = performance.now();
    const look = async (): Promise<void> => {
      const slot = newest() + 1;
      try {
        const answer = await table.read(() =>
          table.client.send(
            new GetItemCommand({
              TableName: table.tableName,
              ConsistentRead: true,
              ReturnConsumedCapacity: 'TOTAL',
              ProjectionExpression: '#s',
              ExpressionAttributeNames: { '#s': attributes.sort },
              Key: {
                [attributes.partition]: { S: stripeOf(partition, slot) },
                [attributes.sort]: { S: sortOfSlot(slot) },
              },
            }),
          ),
        );
        table.count(answer.ConsumedCapacity, 'read');
        if (answer.Item !== undefined) {
          lastNews = performance.now();
          subscriber.next();
        }
      } catch (e) {
        // Reading the log reports the error to whoever waits for it; this is only a hint.
        if (!isCoded(e)) throw e;
      }
    };
    const loop = (): void => {
      const quiet = performance.now() - lastNews > busyForMs;
      timer = startTimer(
        () => {
          void look().finally(() => {
            if (!closed) loop();
          });
        },
        quiet ? idleMs : Math.min(busyMs, idleMs),
      );
      timer.unref();
    };
    loop();
    return () => {
      closed = true;
      stopTimer(timer);
    };
  });
}
