/** A place in this browser where a visit is kept: named values, files among them, until they are cleared. */

const DATABASE = 'poke2vid';
const STORE = 'visit';

/** @returns {Promise<IDBDatabase>} */
function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(new Error('This window keeps nothing.'));
  });
}

/**
 * One job with the store.
 *
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} ask
 * @returns {Promise<T>}
 */
async function within(mode, ask) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: 'relaxed' });
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? new Error('There is no room to keep it.'));
    });
  } finally {
    database.close();
  }
}

/** @param {string} key @returns {Promise<any>} undefined where there is none */
export const stored = (key) => within('readonly', (store) => store.get(key));

/** @param {string} key @param {any} value */
export const store = (key, value) => within('readwrite', (all) => all.put(value, key));

export const clearStore = () => within('readwrite', (all) => all.clear());
