import { describe, expect, it } from 'vitest';
import { asCoded as ofDynamodb } from '../../backends/dynamodb/answers.ts';
import { asCoded as ofEtcd } from '../../backends/etcd/answers.ts';
import { codeOfRefusal } from '../../src/log/store-refusals.ts';

const named = (name: string, message = 'no'): Error => Object.assign(new Error(message), { name });
const invalid = (message: string): Error =>
  Object.assign(named('ValidationException', message), { $metadata: { httpStatusCode: 400 } });

/** The same reason, in the words of each store. */
const reasons = [
  [
    'not allowed',
    new Error('7 PERMISSION_DENIED: etcdserver: permission denied'),
    named('AccessDeniedException'),
  ],
  [
    'not allowed',
    new Error('3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password'),
    named('UnrecognizedClientException'),
  ],
  [
    'busy',
    new Error('8 RESOURCE_EXHAUSTED: etcdserver: too many requests'),
    named('ProvisionedThroughputExceededException'),
  ],
  [
    'too large',
    new Error('8 RESOURCE_EXHAUSTED: Received message larger than max (5 vs 4)'),
    invalid('Item size has exceeded the maximum allowed size'),
  ],
] as const;

describe('a refusal', () => {
  it.each(reasons)('means the same whichever store it comes from: %s', (kind, etcd, dynamodb) => {
    for (const opening of [true, false]) {
      const code = codeOfRefusal(kind, { opening });
      expect(ofEtcd(etcd, { place: 'a peer', opening }).code).toBe(code);
      expect(ofDynamodb(dynamodb, { place: 'a table', writing: true, opening }).code).toBe(code);
    }
  });
});
