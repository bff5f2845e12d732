import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Requests } from './requests.ts';

/** One table, and how it is asked. */
export interface TableAccess {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** For what may be sent twice. The SDK's own error for anything that `pass` names. */
  read<T>(act: () => Promise<T>, pass?: readonly string[]): Promise<T>;
  readonly requests: Requests;
  count(units: { readonly CapacityUnits?: number | undefined } | undefined, kind: 'read' | 'write'): void;
}
