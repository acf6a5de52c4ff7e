CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    number TEXT UNIQUE,
    type TEXT NOT NULL CHECK (type IN ('private', 'business')),
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    phone TEXT,
    street TEXT,
    zip TEXT,
    city TEXT,
    country TEXT,
    vat_id TEXT,
    newsletter BOOLEAN NOT NULL DEFAULT 0,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL
);
CREATE INDEX customers_updated_at ON customers (updated_at, id);
-- Whoever changes a row by hand need not think of its time.
CREATE TRIGGER customers_changed AFTER UPDATE ON customers WHEN new.updated_at = old.updated_at
BEGIN
    UPDATE customers SET updated_at = datetime('now') WHERE id = new.id;
END;

CREATE TABLE products (
    sku TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT,
    price_cents INTEGER NOT NULL,
    gtin TEXT,
    active INTEGER NOT NULL DEFAULT 1,
    updated_at DATETIME NOT NULL
);

CREATE TABLE orders (
    number TEXT PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers,
    ordered_at DATETIME NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('new', 'paid', 'shipped', 'delivered', 'cancelled')),
    currency TEXT NOT NULL DEFAULT 'EUR',
    total_cents INTEGER NOT NULL,
    note TEXT
);

CREATE TABLE order_lines (
    order_number TEXT NOT NULL REFERENCES orders,
    line_no INTEGER NOT NULL,
    sku TEXT NOT NULL REFERENCES products,
    quantity INTEGER NOT NULL,
    unit_price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_number, line_no)
);

CREATE TABLE invoices (
    number TEXT PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers,
    order_number TEXT NOT NULL REFERENCES orders,
    issued_on DATE NOT NULL,
    due_on DATE NOT NULL,
    total_cents INTEGER NOT NULL,
    open_cents INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'paid'))
);
